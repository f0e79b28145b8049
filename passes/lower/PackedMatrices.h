//===- PackedMatrices.h - the matrices of a product, from the model's files ===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "lib/weights/Pack.h"

namespace moec {

struct SourceMatrix;

/// How the matrices of a product are packed.
struct PackedMatrices {
  /// After the model's weight.
  std::string name;
  PackStep elements;
  /// Of integers.
  std::optional<PackStep> scales, zeros;

  /// Those of w, and of w_up if it exists, which become halves of one; k is
  /// the number of columns. Floats become `type`, if given; integers stay as
  /// they are. None if something is computed from what is not a weight, or
  /// lies where packing cannot read it.
  static std::optional<PackedMatrices> of(llvm::ArrayRef<moe::Matrix> matrices,
                                          moe::QuantAttr quant, int64_t k, GateRows gate,
                                          std::optional<WeightType> type);
  /// That of a product x w with w [k,n].
  static std::optional<PackedMatrices> ofTransposed(mlir::Value w, std::optional<WeightType> type);

  /// The lanes of a panel.
  void setWidth(int64_t width);
  /// The columns that are packed together, instead of 32 bits of them.
  void setTogether(int64_t columns) { elements.layout.together = columns; }

private:
  /// Appends the rows of a matrix, if they go with those before.
  bool add(const SourceMatrix &matrix);
  /// After the last matrix; false if no kernel reads that layout.
  bool finish(std::optional<WeightType> type);
  void convertFloats(std::optional<WeightType> type);
};

} // namespace moec
