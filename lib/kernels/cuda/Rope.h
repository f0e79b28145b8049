//===- Rope.h - rotary position embedding, 16 bytes a thread ---------------===//
#pragma once

#include "lib/kernels/RopeSpec.h"
#include "lib/kernels/cuda/BlockBuilder.h"

namespace moec::cuda {

/// A thread has a unit of a head (HeadUnits.h).
struct Rope : RopeSpec {
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
  /// What block `block` of the grid does.
  void emit(BlockBuilder &b, mlir::ValueRange arguments, mlir::Value block) const;
  /// The number of blocks for `tokens` tokens.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tokens) const;
  /// The same of a kernel's arguments.
  mlir::Value grid(BlockBuilder &b, mlir::ValueRange arguments) const;
};

} // namespace moec::cuda
