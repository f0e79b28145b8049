//===- WeightSource.h - tensors that packing can read ----------------------===//
#pragma once

#include "passes/lower/WeightView.h"

namespace moec {

/// What a tensor is made of, if it is made of weights alone: parts of weights
/// side by side, floats, or integers with what they are scaled by.
struct WeightSource {
  struct Piece {
    /// Of its first element in the tensor.
    llvm::SmallVector<int64_t> offset;
    WeightView elements;
    /// Of the rank of the elements; what one element is for has the stride 0.
    std::optional<WeightView> scales, zeros;
  };

  llvm::SmallVector<int64_t> sizes;
  /// They fill the tensor, and do not overlap.
  std::vector<Piece> pieces;

  /// Whether the tensor is floats of f32 that integers stand for: `block`
  /// elements along `axis` share a scale; 0: all or one.
  bool isDequantised = false, isUnsigned = false;
  int64_t axis = 0, block = 0;

  static std::optional<WeightSource> of(mlir::Value tensor);

  /// As [groups,rows,columns], with one group if there are two dimensions.
  std::optional<WeightSource> asMatrices() const;
  /// The tensor with its dimensions in another order: dimension i is
  /// `order[i]` of this.
  WeightSource permuted(llvm::ArrayRef<int64_t> order) const;
};

} // namespace moec
