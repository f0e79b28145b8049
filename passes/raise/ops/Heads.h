//===- Heads.h - what the attention operators share ------------------------===//
//
// The operators differ in how they pack heads and describe what is masked;
// here are the steps from their inputs to attn.attention.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "passes/raise/Operators.h"

namespace moec::raise {

/// Elements [offset, offset + size) of a dimension.
Tensor sliceDim(Emitter &e, Tensor x, int64_t dim, mlir::OpFoldResult offset,
                mlir::OpFoldResult size);

/// [B,S,N*D] as [B,S,N,D], and back.
Tensor splitHeads(Emitter &e, Tensor x, int64_t heads);
Tensor mergeHeads(Emitter &e, Tensor x);
/// [B,S,N,D] as [B,N,S,D], and back.
Tensor swapHeads(Emitter &e, Tensor x);

/// The cache [B,M,P,D] (may be absent) with `update` [B,S,M,D] from the
/// position `lengths` [B] on (null: P), of `total` positions.
Tensor appendToCache(Emitter &e, std::optional<Tensor> past, Tensor update,
                     mlir::OpFoldResult total, mlir::Value lengths = nullptr);

/// An i64 tensor [B] with one value per row of the batch.
mlir::Value perRow(Emitter &e, mlir::OpFoldResult batch,
                   llvm::function_ref<mlir::Value(Emitter &, mlir::Value row)> body);
mlir::Value perRow(Emitter &e, mlir::OpFoldResult batch, mlir::OpFoldResult value);

/// The operands and attributes of attn.attention.
struct Attend {
  Tensor q, k, v;
  std::optional<Tensor> bias, mask, sink;
  mlir::Value kvLengths, qOffsets;
  double scale = 0, softcap = 0;
  int64_t left = -1, right = -1;

  /// [B,S,N,E].
  Tensor emit(Emitter &e) const;
  /// Scales scores as asked; 0 means 1 / sqrt(head size).
  void setScale(Emitter &e, double asked);
  /// Takes a mask of up to 4 dimensions that broadcasts to [B,N,S,T]; booleans
  /// keep, floats are added.
  mlir::LogicalResult setMask(Node &node, Tensor mask);
};

} // namespace moec::raise
