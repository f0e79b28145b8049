//===- Helpers.h - what families of operators share ------------------------===//
#pragma once

#include "passes/raise/Operators.h"

namespace moec::raise {

/// A float moved to the nearest one that `target`, which has fewer bits, can
/// hold. NaN stays.
mlir::Value saturateTo(Emitter &e, mlir::Value value, mlir::FloatType target);

/// round(value) + zero, saturated to the integer type `target`; NaN becomes the
/// lowest value. `value` is a float of at least 32 bits; `zero` may be null.
mlir::Value toQuantized(Emitter &e, mlir::Value value, mlir::Value zero, mlir::Type target);

/// An index from data: negative ones count from the end; outside is an error.
mlir::Value checkedIndex(Emitter &e, mlir::Value given, mlir::OpFoldResult size);

/// An input, called `name`, that must have the given sizes: an error where it is
/// known not to, a check at run time where nothing is known.
mlir::FailureOr<Tensor> shaped(Node &node, unsigned input, const llvm::Twine &name, Scalars shape);

/// NumPy's matmul.
Tensor matmul(Emitter &e, Tensor a, Tensor b);

/// What a Gemm node computes, by its inputs and attributes.
Tensor gemm(Node &node);

/// x through the activation function that ONNX has as the operator `function`;
/// the node's attributes state its numbers, their names behind `prefix`.
mlir::FailureOr<Tensor> activated(Node &node, Tensor x, llvm::StringRef function,
                                  llvm::StringRef prefix);

} // namespace moec::raise
