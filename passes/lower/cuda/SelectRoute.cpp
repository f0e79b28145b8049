//===- SelectRoute.cpp - tokens are routed by lanes of warps ---------------===//
#include "lib/kernels/cuda/Route.h"
#include "passes/lower/RouteLaunch.h"
#include "passes/lower/cuda/CudaKernels.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, moe::RouteOp op) {
  return launchRoute(
      rewriter, op,
      [&](TensorBuilder &b, const RouteSpec &spec, Value tokens) -> std::optional<KernelGrid> {
        cuda::Route route{spec};
        if (!route.isSupported())
          return std::nullopt;
        return KernelGrid{kernels.kernel(route), route.grid(b, b.getLoc(), tokens)};
      });
}

} // namespace moec
