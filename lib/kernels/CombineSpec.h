//===- CombineSpec.h - sums of the rows of each token's slots --------------===//
#pragma once

#include "mlir/IR/Builders.h"

namespace moec {

/// A moe.combine. The kernel's inputs are the rows [?,hidden], positions
/// [?,topK] of i32, weights [?,topK] of f32 and the addend [?,hidden], the last
/// two if there are; its output is y [?,hidden]. Rows are contiguous.
///
/// Slots are added in their order in f32, each product rounded.
struct CombineSpec {
  /// Of the rows, and of the addend and y; f32, f16 or bf16.
  mlir::Type rows, element;
  int64_t topK, hidden;
  bool hasWeights = false, hasAddend = false;

  bool operator==(const CombineSpec &) const = default;
  std::string name() const;
  llvm::SmallVector<mlir::Type> argumentTypes(mlir::Builder &builder) const;
};

} // namespace moec
