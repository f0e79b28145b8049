//===- MatmulOperands.h - the operands of products, for kernels ------------===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "passes/lower/KernelTable.h"
#include "passes/lower/PackedMatrices.h"

namespace moec {

mlir::Type elementOf(mlir::Value tensor);

/// The same numbers as another type; f32 are rounded.
mlir::Value converted(TensorBuilder &b, mlir::Value tensor, mlir::Type element);

/// The weights that a product multiplies by, whose floats become `type`, if
/// given. None if kernels do not compute the product: it adds to something, is of
/// f64, chooses its matrices, or multiplies by what is not a weight.
std::optional<PackedMatrices> weightsOf(mlir::linalg::MatmulOp op, std::optional<WeightType> type);
std::optional<PackedMatrices> weightsOf(moe::GroupedMatmulOp op, std::optional<WeightType> type);

/// The rows that a kernel of a grouped product reads: those of x, by way of the
/// slots where there are, or rows that have a scale each, which are gathered and
/// scaled before: once, not by each panel of the weights.
class KernelRows {
public:
  explicit KernelRows(moe::GroupedMatmulOp op);

  /// Whether the kernel finds a row by its slot, and how many slots share one.
  bool areGathered() const { return hasSlots && !areScaled; }
  int64_t divisor() const { return areScaled ? 1 : slotsPerRow; }
  mlir::Type element() const { return type; }
  mlir::Value source(TensorBuilder &b) const;

private:
  mutable moe::GroupedMatmulOp op;
  bool hasSlots, areScaled;
  int64_t slotsPerRow;
  mlir::Type type;
};

/// The matrices as kernels take them: elements, scales and zero points.
llvm::SmallVector<mlir::Value> matrixOperands(KernelTable &kernels, TensorBuilder &b,
                                              const PackedMatrices &matrices);

/// [bias | bias_up] as one tensor [groups,n] of f32, null without biases.
mlir::Value joinedBias(TensorBuilder &b, moe::GroupedMatmulOp op);

} // namespace moec
