//===- KernelBuilder.h - what generators of kernels write in ---------------===//
#pragma once

#include "lib/kernels/KernelArguments.h"
#include "lib/kernels/LoopBuilder.h"
#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// The vectors of a chip.
class KernelBuilder : public LoopBuilder {
public:
  KernelBuilder(mlir::OpBuilder &builder, mlir::Location loc, const Chip &chip)
      : LoopBuilder(builder, loc), chip(chip) {}

  /// The f32 elements of a register, and a vector of so many `element`s.
  int64_t lanes() const { return chip.lanes(32); }
  mlir::VectorType vectorOf(mlir::Type element) { return mlir::VectorType::get(lanes(), element); }
  mlir::VectorType vector() { return vectorOf(getF32Type()); }

  /// a * b + sum, rounded once where the chip can, and twice everywhere where
  /// it cannot.
  mlir::Value multiplyAdd(mlir::Value a, mlir::Value b, mlir::Value sum);
  mlir::Value broadcast(mlir::Value scalar);
  /// The lanes in one fixed order: halves are added until one lane is left.
  mlir::Value sumOfLanes(mlir::Value vector);
  mlir::Value maximumOfLanes(mlir::Value vector);

  /// Covers [0, size) by vectors: `body` gets the first element of each and the
  /// number of its elements, which are fewer in the last.
  void forVectors(int64_t size, llvm::function_ref<void(mlir::Value, int64_t)> body);
  /// `count` floats of a memref as a vector of f32, zeros behind them.
  mlir::Value loadFloats(mlir::Value memref, mlir::ValueRange at, int64_t count);
  /// Rounds to the memref's type.
  void storeFloats(mlir::Value vector, mlir::Value memref, mlir::ValueRange at, int64_t count);
  /// An integer of a memref as an index.
  mlir::Value loadIndex(mlir::Value memref, mlir::ValueRange at);

private:
  const Chip &chip;
};

/// A private kernel called `name`. Its arguments are of `types`, followed by
/// the range of the grid, [begin, end), that it computes; `body` takes all.
mlir::func::FuncOp defineKernel(mlir::OpBuilder &builder, const Chip &chip, llvm::StringRef name,
                                llvm::ArrayRef<mlir::Type> types,
                                llvm::function_ref<void(KernelBuilder &, mlir::ValueRange)> body);

} // namespace moec
