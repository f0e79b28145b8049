//===- Norm.h - norms of rows, by blocks of threads ------------------------===//
#pragma once

#include "lib/kernels/NormSpec.h"
#include "lib/kernels/cuda/BlockBuilder.h"

namespace moec::cuda {

/// A row is normalised by some threads: a warp, or a block of up to 16 if that
/// leaves each of them much to do. It is read once.
///
/// Sums: each thread has units of elements, which take turns; it adds their
/// elements ascending. The sums of lanes are added across one bit of their
/// number after the other, the highest first, and those of warps ascending: an
/// order that only the type and the width decide.
struct Norm : NormSpec {
  /// Whether a thread can hold its part of a row.
  bool isSupported() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
  /// The number of blocks for `rows` rows.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows) const;

private:
  /// Threads of a row.
  int64_t threads() const;
  int64_t rowsOfBlock() const;
};

} // namespace moec::cuda
