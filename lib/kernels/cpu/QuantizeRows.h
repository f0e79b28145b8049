//===- QuantizeRows.h - activations as integers ---------------------------===//
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"

namespace moec {

/// Rounds rows of x to int8, block by block: q = round(x / scale), where the
/// scale makes the block's largest magnitude 127. Rounds to nearest, ties to
/// even. A row's result depends on nothing but the row. A block with a value
/// that is not finite has a scale that is not.
struct QuantizeRows {
  /// Of the rows, and of a block.
  int64_t k, block;

  /// Columns of q: kernels multiply by whole words, so zeros follow the last.
  int64_t paddedColumns() const { return llvm::alignTo(k, 16); }
  int64_t blocks() const { return llvm::divideCeil(k, block); }

  bool operator==(const QuantizeRows &) const = default;
  std::string name() const;
  /// A kernel of x [?,k] in f32 to q [?,paddedColumns] of i8, scales
  /// [?,blocks] of f32 and the sums of the blocks of q, [?,blocks] of i32. Its
  /// grid is the number of rows.
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
  /// The types of q, scales and sums as arguments of kernels.
  llvm::SmallVector<mlir::Type> resultTypes(mlir::Builder &builder) const;
};

} // namespace moec
