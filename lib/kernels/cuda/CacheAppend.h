//===- CacheAppend.h - new rows behind those of a cache, by blocks ---------===//
#pragma once

#include "lib/kernels/CacheAppendSpec.h"
#include "lib/kernels/RopeSpec.h"
#include "lib/kernels/cuda/BlockBuilder.h"
#include <optional>

namespace moec::cuda {

/// A thread has a unit of a new head (HeadUnits.h). Where the present has memory
/// of its own, the same blocks then copy the past to it.
struct CacheAppend : CacheAppendSpec {
  /// The rotation whose result is the update. Its x takes the update's place, and
  /// behind the inputs of the append are its others.
  std::optional<RopeSpec> rope = {};

  bool operator==(const CacheAppend &) const = default;
  std::string name() const;
  llvm::SmallVector<mlir::Type> inputTypes(mlir::Builder &builder) const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
  /// What block `block` of `blocks` does.
  void emit(BlockBuilder &b, mlir::ValueRange arguments, mlir::Value block,
            mlir::Value blocks) const;
  /// The number of blocks for a present of `batch` and `positions`, of which
  /// `added` are new.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value batch,
                   mlir::Value positions, mlir::Value added) const;
  /// The same of a kernel's arguments.
  mlir::Value grid(BlockBuilder &b, mlir::ValueRange arguments) const;

private:
  /// Of a new head.
  int64_t units() const;
};

} // namespace moec::cuda
