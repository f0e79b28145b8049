//===- SelectNorm.cpp - rows are normalised by a kernel --------------------===//
#include "lib/kernels/cpu/Norm.h"
#include "passes/lower/NormLaunch.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

template <typename Op>
static LogicalResult select(CpuKernels &kernels, RewriterBase &rewriter, Op op) {
  return launchNorm(
      rewriter, op,
      [&](TensorBuilder &, const NormSpec &spec, Value rows) {
        return std::optional(KernelGrid{kernels.kernel(Norm{spec}), rows});
      },
      /*addsSkips=*/false);
}

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, attn::RmsNormOp op) {
  return select(kernels, rewriter, op);
}
LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, attn::LayerNormOp op) {
  return select(kernels, rewriter, op);
}

} // namespace moec
