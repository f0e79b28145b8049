//===- Norm.h - root-mean-square and layer normalisation -------------------===//
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// An attn.rms_norm or attn.layer_norm over rows of `width` elements. The
/// kernel's inputs are x [?,width], scale [width] and bias [width], if there is
/// one; its outputs are y [?,width] and, with statistics, mean and inverse [?]
/// of f32. Rows are contiguous. The grid is the rows.
///
/// Sums: kSums vectors take turns, each lane ascending; they are added in pairs
/// and the lanes by halves (KernelBuilder::sumOfLanes): an order that only the
/// chip and the width decide.
struct Norm {
  static constexpr int64_t kSums = 4;

  /// Of x and y, of scale and bias; f32, f16 or bf16. That of an absent bias is
  /// null.
  mlir::Type element, scale;
  mlir::Type bias = {};
  int64_t width;
  double epsilon;
  /// Whether the mean is subtracted first: layer normalisation.
  bool isCentered = false;
  bool hasStatistics = false;

  bool operator==(const Norm &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
