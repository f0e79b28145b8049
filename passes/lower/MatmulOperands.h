//===- MatmulOperands.h - the operands of products, for kernels ------------===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "passes/lower/KernelTable.h"
#include "passes/lower/PackedMatrices.h"

namespace moec {

mlir::Type elementOf(mlir::Value tensor);

/// A tensor [dynamic, columns], as kernels take them.
mlir::RankedTensorType tensorOf(int64_t columns, mlir::Type element);

bool isZeroFill(mlir::Value tensor);

/// The same numbers as another type; f32 are rounded.
mlir::Value converted(TensorBuilder &b, mlir::Value tensor, mlir::Type element);

/// Where an activation's gate has its operands.
GateRows gateRows(moe::ActivationAttr activation);

/// The matrices as kernels take them: elements, scales and zero points.
llvm::SmallVector<mlir::Value> matrixOperands(KernelTable &kernels, TensorBuilder &b,
                                              const PackedMatrices &matrices);

/// [bias | bias_up] as one tensor [groups,n] of f32, null without biases.
mlir::Value joinedBias(TensorBuilder &b, moe::GroupedMatmulOp op);

} // namespace moec
