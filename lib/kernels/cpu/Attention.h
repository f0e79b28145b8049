//===- Attention.h - attention over fixed chunks of keys -------------------===//
#pragma once

#include "lib/kernels/AttentionSpec.h"
#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// Sums: a score has one accumulator that ascends over D, as has each element
/// of o over the keys of a chunk. The exponentials of a chunk are summed lane
/// by lane, ascending, and the lanes by halves (KernelBuilder::sumOfLanes): an
/// order that only the chip and the chunk decide. A key that a query does not
/// see takes no part in its sums, so that neither other queries, rows and keys
/// nor the split of the grid change a bit.
struct Attention : AttentionSpec {
  /// The f32 elements of scratch memory that the kernel needs on the stack.
  int64_t scratchElements() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
  /// The size of the kernel's grid for `batch` rows of `queries`.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value batch,
                   mlir::Value queries) const;
};

} // namespace moec
