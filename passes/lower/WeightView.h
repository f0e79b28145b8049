//===- WeightView.h - tensors that are parts of weights --------------------===//
#pragma once

#include "dialects/rt/RtDialect.h"
#include "lib/weights/Pack.h"

namespace moec {

/// Elements of a weight, by strides: what remains of transposes, slices and
/// reshapes of a mapped tensor once nothing computes them.
struct WeightView {
  mutable rt::WeightOp weight;
  /// In elements.
  int64_t offset = 0;
  llvm::SmallVector<int64_t> sizes, strides;

  /// The weight behind a tensor, if its elements are a weight's, in any order.
  static std::optional<WeightView> of(mlir::Value tensor);

  /// The view [groups,rows,columns] as rows of matrices; one group if there are
  /// two dimensions. None if neither rows nor columns are contiguous, or the
  /// elements are not floats that can be packed.
  std::optional<MatrixPart> asMatrixPart() const;
};

} // namespace moec
