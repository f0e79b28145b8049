//===- ElementBytes.h - what an element takes in memory -------------------===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

namespace moec {

/// Bytes of an element in a buffer: at least one; an index takes 64 bits.
inline int64_t elementBytes(mlir::ShapedType type) {
  mlir::Type element = type.getElementType();
  return element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

} // namespace moec
