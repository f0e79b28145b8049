//===- EvaluateWeights.h - what depends on weights alone, computed once ----===//
#pragma once

#include "moec/Compiler.h"
#include "llvm/Support/FileUtilities.h"

namespace moec {

/// A file of tensors that were computed while a model was compiled; it goes
/// with this.
class EvaluatedWeights {
public:
  /// Replaces tensors of a raised module that follow from weights alone by
  /// weights in the file, computed by generated code in this process. Left are
  /// those that packing reads from where they lie (see WeightSource.h), that have
  /// more elements than the weights they are made of, and what would take more
  /// than kMostBytes: the model computes them when it runs.
  mlir::LogicalResult evaluate(mlir::ModuleOp module, const CompileOptions &options);

  /// Of sources and results together.
  static constexpr int64_t kMostBytes = 512 << 20;

private:
  llvm::FileRemover remover;
};

} // namespace moec
