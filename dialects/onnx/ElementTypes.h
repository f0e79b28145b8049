//===- ElementTypes.h - TensorProto.DataType and MLIR's types -------------===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"

namespace moec::onnx {

/// The element type with a number of TensorProto.DataType, with its sign; null
/// for numbers that have none here (strings, complex numbers).
mlir::Type elementTypeOf(mlir::MLIRContext *context, int64_t dataType);

/// The number of an element type; signless integers count as signed. 0 for
/// types that ONNX does not have.
int64_t dataTypeOf(mlir::Type elementType);

} // namespace moec::onnx
