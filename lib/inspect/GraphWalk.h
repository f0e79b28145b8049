//===- GraphWalk.h - following values through an ONNX graph ---------------===//
#pragma once

#include "dialects/onnx/OnnxDialect.h"

namespace moec::inspect {

using Operators = llvm::ArrayRef<llvm::StringRef>;

/// The type of a node's operator, whatever its domain; empty for other ops.
llvm::StringRef operatorOf(mlir::Operation *op);

/// Calls `visit` for every use of `value` and of what operators of the list
/// make of it. `visit` returns whether to follow the user's results, too, when
/// the user is of the list.
void forEachUse(mlir::Value value, Operators through,
                llvm::function_ref<bool(mlir::OpOperand &)> visit);

/// Follows first operands backwards through operators of the list to one that
/// is not; null at an input.
mlir::Operation *sourceOf(mlir::Value value, Operators through);

/// Whether the value is an initializer, or one reshaped.
bool isWeight(mlir::Value value);

/// The single integer of a constant.
std::optional<int64_t> integerOf(mlir::Value value);

} // namespace moec::inspect
