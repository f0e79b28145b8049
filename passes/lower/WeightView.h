//===- WeightView.h - tensors that are parts of weights --------------------===//
#pragma once

#include "dialects/rt/RtDialect.h"
#include "lib/weights/Pack.h"

namespace moec {

/// Elements of a weight, by strides: what remains of transposes, slices and
/// reshapes of a mapped tensor once nothing computes them. Floats that are
/// only widened are the same floats.
struct WeightView {
  /// Null if a constant is viewed.
  mutable rt::WeightOp weight;
  mlir::DenseElementsAttr constant;
  /// In elements.
  int64_t offset = 0;
  llvm::SmallVector<int64_t> sizes, strides;

  /// The weight or constant behind a tensor, if its elements are those, in any
  /// order.
  static std::optional<WeightView> of(mlir::Value tensor);

  /// What the elements are stored as.
  mlir::Type element() const;
  /// A name for what is made of it.
  std::string name() const;

  /// The view [groups,rows,columns] as rows of matrices. None if neither rows
  /// nor columns are contiguous, or the elements cannot be packed. Bytes are
  /// read as integers of `bits`, along the last dimension.
  std::optional<MatrixPart> asMatrixPart(int64_t bits = 8) const;
};

} // namespace moec
