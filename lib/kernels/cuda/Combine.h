//===- Combine.h - sums of the rows of each token's slots, by blocks -------===//
#pragma once

#include "lib/kernels/CombineSpec.h"
#include "lib/kernels/cuda/BlockBuilder.h"

namespace moec::cuda {

/// A thread sums 16 bytes of the rows; a block has a part of a token's columns.
struct Combine : CombineSpec {
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
  /// The number of blocks for `tokens` tokens.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tokens) const;

private:
  int64_t threads() const;
  /// Blocks of a token.
  int64_t parts() const;
};

} // namespace moec::cuda
