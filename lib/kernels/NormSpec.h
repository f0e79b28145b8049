//===- NormSpec.h - root-mean-square and layer normalisation ---------------===//
#pragma once

#include "mlir/IR/Builders.h"

namespace moec {

/// An attn.rms_norm or attn.layer_norm over rows of `width` elements. The
/// kernel's inputs are x and, with a skip, what is added to it [?,width], scale
/// [width] and bias [width], if there is one; its outputs are y and, with a skip,
/// the sum that was normalised [?,width], and, with statistics, mean and inverse
/// [?] of f32. Rows are contiguous.
struct NormSpec {
  /// Of x and y, of scale and bias; f32, f16 or bf16. That of an absent bias is
  /// null.
  mlir::Type element, scale;
  mlir::Type bias = {};
  int64_t width;
  double epsilon;
  /// Whether the mean is subtracted first: layer normalisation.
  bool isCentered = false;
  bool hasStatistics = false;
  bool hasSkip = false;

  bool operator==(const NormSpec &) const = default;
  std::string name() const;
  llvm::SmallVector<mlir::Type> argumentTypes(mlir::Builder &builder) const;
};

} // namespace moec
