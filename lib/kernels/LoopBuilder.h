//===- LoopBuilder.h - loops around the arithmetic of a kernel -------------===//
#pragma once

#include "dialects/TensorBuilder.h"

namespace moec {

/// Loops and branches around the arithmetic of a TensorBuilder, for generators
/// of kernels.
class LoopBuilder : public TensorBuilder {
public:
  using TensorBuilder::TensorBuilder;

  /// Runs `body` for from, from + step, ... below `to`, which are of one type:
  /// index or integers.
  void forEach(mlir::Value from, mlir::Value to, int64_t step,
               llvm::function_ref<void(mlir::Value)> body);
  /// The same, with values that `body` updates from one step to the next; returns
  /// the last ones.
  llvm::SmallVector<mlir::Value>
  forEach(mlir::Value from, mlir::Value to, int64_t step, mlir::ValueRange state,
          llvm::function_ref<void(mlir::Value, llvm::MutableArrayRef<mlir::Value>)> body);
  void ifElse(mlir::Value condition, llvm::function_ref<void()> yes, llvm::function_ref<void()> no);
  void ifTrue(mlir::Value condition, llvm::function_ref<void()> yes);
  /// The values of one of two branches, of the same types.
  using Branch = llvm::function_ref<llvm::SmallVector<mlir::Value>()>;
  llvm::SmallVector<mlir::Value> choose(mlir::Value condition, mlir::TypeRange types, Branch yes,
                                        Branch no);
};

} // namespace moec
