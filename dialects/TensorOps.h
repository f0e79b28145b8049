//===- TensorOps.h - what the operations on tensors share -----------------===//
#pragma once

#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace moec {

// linalg.AggregatedOpInterface declares its method with unqualified names.
using mlir::FailureOr;
using mlir::OpBuilder;
using mlir::SmallVector;
using mlir::Value;

/// Whether the types agree in element type and rank, and in every size that
/// both state.
bool areCompatibleTensors(mlir::TypeRange lhs, mlir::TypeRange rhs);

/// Adds the canonicalisation of a dialect's operations: sizes that operands or
/// results know reach the types on the other side.
void addRefinement(mlir::RewritePatternSet &patterns, llvm::StringRef dialect);

/// One size of an operand, for diagnostics.
struct OperandDim {
  llvm::StringRef name;
  mlir::Value value;
  int64_t dim;
  int64_t size() const;
};

/// Requires the sizes to be equal where both are known.
llvm::LogicalResult verifySameSize(mlir::Operation *op, OperandDim lhs, OperandDim rhs);

/// Requires the size to be `size` or, when it is known and broadcast is
/// allowed, 1.
llvm::LogicalResult verifyBroadcastSize(mlir::Operation *op, OperandDim from, OperandDim to);

/// The size that both state, or that one of them knows.
int64_t mergeSizes(int64_t lhs, int64_t rhs);

} // namespace moec
