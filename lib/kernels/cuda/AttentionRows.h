//===- AttentionRows.h - rows of attention, what they see, how they merge --===//
#pragma once

#include "lib/kernels/AttentionSpec.h"
#include "lib/kernels/cuda/RowFloats.h"

namespace moec::cuda {

/// The operands of one kernel of attention.
struct AttentionOperands {
  /// Takes the front of `arguments`.
  AttentionOperands(BlockBuilder &b, const AttentionSpec &op, mlir::ValueRange &arguments);

  RowMemory q, k, v, bias, mask, sink, lengths, offsets;
  /// As i32: queries, keys, and the sizes of bias and mask.
  mlir::Value queries, keys;
  llvm::SmallVector<mlir::Value> biasSizes, maskSizes;
};

/// A row of a key head of a batch row, and the keys [from, to) that it may see.
struct AttentionRow {
  mlir::Value query, head, from, to;
};

/// The rows of one key head in one batch row.
class AttentionRows {
public:
  AttentionRows(BlockBuilder &b, const AttentionSpec &op, const AttentionOperands &operands,
                mlir::Value batch, mlir::Value kvHead);

  mlir::Value count() { return b.mul(operands.queries, b.i32(op.group)); }
  AttentionRow row(mlir::Value number);

private:
  BlockBuilder &b;
  const AttentionSpec &op;
  const AttentionOperands &operands;
  mlir::Value batch, kvHead, limit, offset;
};

/// -inf is the maximum of nothing.
mlir::Value isMasked(BlockBuilder &b, mlir::Value x);

/// What two parts are multiplied by to be merged; negative weights say that the
/// other part is the result.
struct MergeWeights {
  mlir::Value before, chunk;
};
/// Of a part with the maximum `before` and the next with `chunk`, whose joint
/// maximum is `both`.
MergeWeights mergeWeights(BlockBuilder &b, mlir::Value before, mlir::Value chunk, mlir::Value both);
mlir::Value merged(BlockBuilder &b, const MergeWeights &weights, mlir::Value before,
                   mlir::Value chunk);

/// Merges the sink of `row` with (m, l, o) and divides: replaces o by the result.
void finishRow(BlockBuilder &b, const AttentionSpec &op, const AttentionOperands &operands,
               const AttentionRow &row, mlir::Value m, mlir::Value l,
               llvm::MutableArrayRef<mlir::Value> o);

} // namespace moec::cuda
