//===- Attention.h - attention over fixed chunks of keys -------------------===//
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// An attn.attention, by its description. Sizes that are not stated here are
/// known at run time.
///
/// The kernel's inputs are q [?,?,M*G,D], k [?,M,?,D] and v [?,M,?,E] with
/// contiguous rows, then bias (f32) and mask (bytes, 0 or 1) [?,?,?,?],
/// sink [M*G], key lengths [?] and query offsets [?] of i64, each if there is
/// one; its output is y [?,?,M*G,E].
///
/// Sums: a score has one accumulator that ascends over D, as has each element
/// of o over the keys of a chunk. The exponentials of a chunk are summed lane
/// by lane, ascending, and the lanes by halves (KernelBuilder::sumOfLanes): an
/// order that only the chip and the chunk decide. A key that a query does not
/// see takes no part in its sums, so that neither other queries, rows and keys
/// nor the split of the grid change a bit.
struct Attention {
  /// Of q, k, v and y; f32, f16 or bf16. That of an absent sink is null.
  mlir::Type element;
  mlir::Type sink = {};
  /// M, G, D, E.
  int64_t kvHeads, group, depth, valueDepth;
  int64_t chunk;
  bool hasBias = false, hasMask = false, hasLengths = false, hasOffsets = false;
  double scale = 1, softcap = 0;
  /// -1 is no limit.
  int64_t left = -1, right = -1;

  bool operator==(const Attention &) const = default;
  std::string name() const;
  /// The f32 elements of scratch memory that the kernel needs on the stack.
  int64_t scratchElements() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
  /// The size of the kernel's grid for `batch` rows of `queries`.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value batch,
                   mlir::Value queries) const;
};

} // namespace moec
