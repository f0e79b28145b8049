//===- SelectCombine.cpp - the rows of a token are summed by threads -------===//
#include "lib/kernels/cuda/Combine.h"
#include "passes/lower/CombineLaunch.h"
#include "passes/lower/cuda/CudaKernels.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, moe::CombineOp op) {
  return launchCombine(rewriter, op, [&](TensorBuilder &b, const CombineSpec &spec, Value tokens) {
    cuda::Combine combine{spec};
    return std::optional(KernelGrid{kernels.kernel(combine), combine.grid(b, b.getLoc(), tokens)});
  });
}

} // namespace moec
