//===- SelectRoute.cpp - routers become one kernel -------------------------===//
#include "lib/kernels/cpu/Route.h"
#include "passes/lower/RouteLaunch.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

/// A kernel holds the scores of a token on the stack.
static constexpr int64_t kMaxExperts = 4096;

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, moe::RouteOp op) {
  return launchRoute(
      rewriter, op,
      [&](TensorBuilder &, const RouteSpec &spec, Value tokens) -> std::optional<KernelGrid> {
        if (spec.experts > kMaxExperts)
          return std::nullopt;
        return KernelGrid{kernels.kernel(Route{spec}), tokens};
      });
}

} // namespace moec
