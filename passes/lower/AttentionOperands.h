//===- AttentionOperands.h - what kernels of attention take ----------------===//
#pragma once

#include "dialects/attn/AttnDialect.h"
#include "lib/kernels/AttentionSpec.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// What a kernel has to compute, if its sizes and types are those of one.
std::optional<AttentionSpec> attentionOf(attn::AttentionOp op);

/// The kernel's inputs, of the types that it states.
llvm::SmallVector<mlir::Value> attentionInputs(TensorBuilder &b, attn::AttentionOp op,
                                               const AttentionSpec &spec);

/// A tensor for the result.
mlir::Value attentionResult(TensorBuilder &b, attn::AttentionOp op, const AttentionSpec &spec);

} // namespace moec
