//===- NormLaunch.h - rows are normalised by a kernel ----------------------===//
#pragma once

#include "dialects/attn/AttnDialect.h"
#include "lib/kernels/NormSpec.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// Replaces `op` by the launch of a kernel, if one can compute it. With
/// `addsSkips`, a sum that is normalised becomes part of the kernel, which then
/// has it as a result, too.
mlir::LogicalResult launchNorm(mlir::RewriterBase &rewriter, attn::RmsNormOp op,
                               ChooseKernel<NormSpec> kernel, bool addsSkips);
mlir::LogicalResult launchNorm(mlir::RewriterBase &rewriter, attn::LayerNormOp op,
                               ChooseKernel<NormSpec> kernel, bool addsSkips);

} // namespace moec
