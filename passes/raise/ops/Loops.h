//===- Loops.h - loops over tensors whose sizes may change -----------------===//
#pragma once

#include "passes/raise/Operators.h"

namespace moec::raise {

/// A loop that carries tensors and stacks others, one per iteration.
struct LoopSpec {
  /// At most so many iterations; none means until the condition fails.
  std::optional<mlir::OpFoldResult> trips;
  /// Whether the loop also ends when the body's first output is false, and what
  /// the condition is before the first iteration.
  bool hasCondition = false;
  mlir::Value condition;
  llvm::SmallVector<Tensor> initial;
  /// For each stacked output, whether the last iteration comes first.
  llvm::SmallVector<bool> reversed;
  /// Emits one iteration from its index and what is carried. Returns the
  /// condition (an i1; null unless hasCondition), then what is carried, then
  /// what is stacked.
  struct Iteration {
    mlir::Value condition;
    llvm::SmallVector<Tensor> carried, stacked;
  };
  std::function<mlir::FailureOr<Iteration>(mlir::Value, llvm::ArrayRef<Tensor>)> body;
};

/// Emits the loop. Returns what is carried at the end, then the stacks, with
/// the iterations as dimension 0.
mlir::FailureOr<llvm::SmallVector<Tensor>> emitLoop(Node &node, const LoopSpec &spec);

} // namespace moec::raise
