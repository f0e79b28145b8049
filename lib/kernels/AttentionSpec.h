//===- AttentionSpec.h - attention over fixed chunks of keys ---------------===//
#pragma once

#include "mlir/IR/Builders.h"

namespace moec {

/// An attn.attention, by its description. Sizes that are not stated here are
/// known at run time.
///
/// The kernel's inputs are q [?,?,M*G,D], k [?,M,?,D] and v [?,M,?,E] with
/// contiguous rows, then bias (f32) and mask (bytes, 0 or 1) [?,?,?,?],
/// sink [M*G], key lengths [?] and query offsets [?] of i64, each if there is
/// one; its output is y [?,?,M*G,E].
struct AttentionSpec {
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

  bool operator==(const AttentionSpec &) const = default;
  std::string name() const;
  int64_t heads() const { return kvHeads * group; }
  llvm::SmallVector<mlir::Type> inputTypes(mlir::Builder &builder) const;
  mlir::Type outputType() const;
};

} // namespace moec
