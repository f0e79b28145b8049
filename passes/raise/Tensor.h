//===- Tensor.h - a tensor of an ONNX graph while it is raised ------------===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include <optional>

namespace moec::raise {

/// Sizes and elements of shape tensors: an IntegerAttr, or a Value of type
/// index (i1 for booleans).
using Scalars = llvm::SmallVector<mlir::OpFoldResult>;

/// What is known of a tensor of the graph.
struct Tensor {
  /// Its value, of a signless element type. Null while only the elements are
  /// known: ask Emitter::value.
  mlir::Value data;
  /// ONNX's element type, with its signedness.
  mlir::Type elementType;
  /// Sizes; equal symbols of the model are the same Value.
  Scalars shape;
  /// The elements of a small integer or boolean tensor of rank 0 or 1, where
  /// they are known one by one: shape arithmetic stays scalar and folds.
  std::optional<Scalars> elements;

  int64_t rank() const { return shape.size(); }
  bool isFloat() const { return llvm::isa<mlir::FloatType>(elementType); }
  bool isBool() const { return elementType.isInteger(1); }
  bool isUnsigned() const { return elementType.isUnsignedInteger(); }
};

/// The type that IR computes with: ONNX's without the sign.
mlir::Type signlessType(mlir::Type onnxType);

} // namespace moec::raise
