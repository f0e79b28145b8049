//===- Combine.h - sums of the rows of each token's slots ------------------===//
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// A moe.combine. The kernel's inputs are the rows [?,hidden], positions
/// [?,topK] of i32, weights [?,topK] of f32 and the addend [?,hidden], the last
/// two if there are; its output is y [?,hidden]. Rows are contiguous. The grid
/// is the tokens.
///
/// Slots are added in their order in f32, each product rounded.
struct Combine {
  /// Of the rows, and of the addend and y; f32, f16 or bf16.
  mlir::Type rows, element;
  int64_t topK, hidden;
  bool hasWeights = false, hasAddend = false;

  bool operator==(const Combine &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
