//===- SelectNorm.cpp - rows are normalised by blocks of threads -----------===//
#include "lib/kernels/cuda/Norm.h"
#include "passes/lower/NormLaunch.h"
#include "passes/lower/cuda/CudaKernels.h"

using namespace mlir;

namespace moec {

template <typename Op>
static LogicalResult select(CudaKernels &kernels, RewriterBase &rewriter, Op op) {
  return launchNorm(
      rewriter, op,
      [&](TensorBuilder &b, const NormSpec &spec, Value rows) -> std::optional<KernelGrid> {
        cuda::Norm norm{spec};
        if (!norm.isSupported())
          return std::nullopt;
        return KernelGrid{kernels.kernel(norm), norm.grid(b, b.getLoc(), rows)};
      },
      /*addsSkips=*/true);
}

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, attn::RmsNormOp op) {
  return select(kernels, rewriter, op);
}
LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, attn::LayerNormOp op) {
  return select(kernels, rewriter, op);
}

} // namespace moec
