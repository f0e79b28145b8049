//===- Rope.h - rotary position embedding ----------------------------------===//
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// An attn.rope. The kernel's inputs are x [?,?,heads,depth], the caches of
/// cosines and sines, [?,pairs] with positions and [?,?,pairs] without, and the
/// positions [?,?] of i64, if there are; its output is y, of x's shape. Rows are
/// contiguous. The grid is the tokens of all rows of the batch.
struct Rope {
  /// Of x and y, and of the caches; f32, f16 or bf16.
  mlir::Type element, cache;
  int64_t heads, depth, pairs;
  bool isInterleaved = false, hasPositions = false;

  bool operator==(const Rope &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
