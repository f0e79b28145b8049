//===- NormLaunch.h - rows are normalised by a kernel ----------------------===//
#pragma once

#include "dialects/attn/AttnDialect.h"
#include "lib/kernels/NormSpec.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// What a target computes `rows` rows with, if it can.
using NormKernel = llvm::function_ref<std::optional<KernelGrid>(
    TensorBuilder &b, const NormSpec &spec, mlir::Value rows)>;

/// Replaces `op` by the launch of a kernel, if one can compute it.
mlir::LogicalResult launchNorm(mlir::RewriterBase &rewriter, attn::RmsNormOp op, NormKernel kernel);
mlir::LogicalResult launchNorm(mlir::RewriterBase &rewriter, attn::LayerNormOp op,
                               NormKernel kernel);

} // namespace moec
