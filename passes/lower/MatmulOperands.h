//===- MatmulOperands.h - the operands of products, for kernels ------------===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "passes/lower/KernelTable.h"
#include "passes/lower/PackedMatrices.h"

namespace moec {

mlir::Type elementOf(mlir::Value tensor);

/// A tensor [dynamic, columns], as kernels take them.
mlir::RankedTensorType tensorOf(int64_t columns, mlir::Type element);

/// The same numbers as another type; f32 are rounded.
mlir::Value converted(TensorBuilder &b, mlir::Value tensor, mlir::Type element);

/// The weights that a product multiplies by, whose floats become `type`, if
/// given. None if kernels do not compute the product: it adds to something, is of
/// f64, chooses its matrices, or multiplies by what is not a weight.
std::optional<PackedMatrices> weightsOf(mlir::linalg::MatmulOp op, std::optional<WeightType> type);
std::optional<PackedMatrices> weightsOf(moe::GroupedMatmulOp op, std::optional<WeightType> type);

/// The matrices as kernels take them: elements, scales and zero points.
llvm::SmallVector<mlir::Value> matrixOperands(KernelTable &kernels, TensorBuilder &b,
                                              const PackedMatrices &matrices);

/// [bias | bias_up] as one tensor [groups,n] of f32, null without biases.
mlir::Value joinedBias(TensorBuilder &b, moe::GroupedMatmulOp op);

} // namespace moec
