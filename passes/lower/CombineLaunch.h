//===- CombineLaunch.h - the rows of a token are summed by a kernel --------===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "lib/kernels/CombineSpec.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// Replaces `op` by the launch of a kernel, if one can compute it; `kernel` is
/// asked for one of tokens.
mlir::LogicalResult launchCombine(mlir::RewriterBase &rewriter, moe::CombineOp op,
                                  ChooseKernel<CombineSpec> kernel);

} // namespace moec
