//===- RowFloats.h - floats of rows, by as wide accesses as there are ------===//
#pragma once

#include "lib/kernels/cuda/BlockBuilder.h"

namespace moec::cuda {

/// The widest access of a thread, in bytes, and how many elements that is.
inline constexpr int64_t kUnitBytes = 16;
inline int64_t elementsOfUnit(mlir::Type element) {
  return kUnitBytes * 8 / element.getIntOrFloatBitWidth();
}
inline int64_t bytesOf(mlir::Type element) { return element.getIntOrFloatBitWidth() / 8; }

/// A memref whose rows are contiguous, in global memory.
class RowMemory {
public:
  RowMemory() = default;
  RowMemory(BlockBuilder &b, mlir::Value memref);

  explicit operator bool() const { return static_cast<bool>(base); }
  mlir::Type element() const { return type; }
  /// The start of a row: indices of all dimensions but the last, i32 or i64.
  mlir::Value row(BlockBuilder &b, mlir::ValueRange indices) const;
  /// An element.
  mlir::Value at(BlockBuilder &b, mlir::ValueRange indices) const;
  /// The bytes from an index of a dimension to the next, in i64.
  mlir::Value step(unsigned dim) const { return steps[dim]; }
  /// Whose zero bits say what the address of every row is a multiple of, an i64.
  mlir::Value alignment(BlockBuilder &b) const;

private:
  mlir::Type type;
  mlir::Value base;
  /// Bytes of a step in each dimension but the last.
  llvm::SmallVector<mlir::Value> steps;
};

/// The memory of the first of the arguments that are left, see takeArgument.
RowMemory takeRows(BlockBuilder &b, mlir::ValueRange &arguments, bool isPresent = true);

/// Whether every row begins at a multiple of kUnitBytes, an i1.
mlir::Value areAligned(BlockBuilder &b, llvm::ArrayRef<RowMemory> memories);

/// `count` elements from `pointer` on, in f32. The pointer is a multiple of
/// their bytes, or of kUnitBytes.
llvm::SmallVector<mlir::Value> loadFloats(BlockBuilder &b, mlir::Type element, mlir::Value pointer,
                                          int64_t count);
/// Rounds to the type of the elements.
void storeFloats(BlockBuilder &b, mlir::ValueRange values, mlir::Type element, mlir::Value pointer);

} // namespace moec::cuda
