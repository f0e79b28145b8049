//===- HeadOperands.h - what kernels of rotations and caches take ----------===//
#pragma once

#include "dialects/attn/AttnDialect.h"
#include "lib/kernels/CacheAppendSpec.h"
#include "lib/kernels/RopeSpec.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// What a kernel has to compute, if the op's sizes and types are those of one.
std::optional<RopeSpec> ropeOf(attn::RopeOp op);
std::optional<CacheAppendSpec> cacheAppendOf(attn::CacheAppendOp op);

/// The kernel's inputs, of the types that it states.
llvm::SmallVector<mlir::Value> ropeInputs(TensorBuilder &b, attn::RopeOp op, const RopeSpec &spec);
llvm::SmallVector<mlir::Value> cacheAppendInputs(TensorBuilder &b, attn::CacheAppendOp op,
                                                 const CacheAppendSpec &spec);

/// Tensors for the results.
mlir::Value ropeResult(TensorBuilder &b, attn::RopeOp op, const RopeSpec &spec);
mlir::Value cacheAppendResult(TensorBuilder &b, attn::CacheAppendOp op,
                              const CacheAppendSpec &spec);

} // namespace moec
