//===- NormLaunch.h - rows are normalised by a kernel ----------------------===//
#pragma once

#include "dialects/attn/AttnDialect.h"
#include "lib/kernels/NormSpec.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// Replaces `op` by the launch of a kernel, if one can compute it.
mlir::LogicalResult launchNorm(mlir::RewriterBase &rewriter, attn::RmsNormOp op, ChooseKernel<NormSpec> kernel);
mlir::LogicalResult launchNorm(mlir::RewriterBase &rewriter, attn::LayerNormOp op,
                               ChooseKernel<NormSpec> kernel);

} // namespace moec
