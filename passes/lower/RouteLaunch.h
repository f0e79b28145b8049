//===- RouteLaunch.h - routers become one kernel ---------------------------===//
#pragma once

#include "lib/kernels/RouteSpec.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// Replaces `op` by the launch of a kernel, if one can compute it; `kernel` is
/// asked for one of `tokens`.
mlir::LogicalResult launchRoute(mlir::RewriterBase &rewriter, moe::RouteOp op,
                                ChooseKernel<RouteSpec> kernel);

} // namespace moec
