//===- SelectCombine.cpp - the rows of a token are summed by a kernel ------===//
#include "lib/kernels/cpu/Combine.h"
#include "passes/lower/CombineLaunch.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, moe::CombineOp op) {
  return launchCombine(rewriter, op, [&](TensorBuilder &, const CombineSpec &spec, Value tokens) {
    return std::optional(KernelGrid{kernels.kernel(Combine{spec}), tokens});
  });
}

} // namespace moec
