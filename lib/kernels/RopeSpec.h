//===- RopeSpec.h - rotary position embedding ------------------------------===//
#pragma once

#include "mlir/IR/Builders.h"

namespace moec {

/// An attn.rope. The kernel's inputs are x [?,?,heads,depth], the caches of
/// cosines and sines, [?,pairs] with positions and [?,?,pairs] without, and the
/// positions [?,?] of i64, if there are; its output is y, of x's shape. Rows are
/// contiguous.
struct RopeSpec {
  /// Of x and y, and of the caches; f32, f16 or bf16.
  mlir::Type element, cache;
  int64_t heads, depth, pairs;
  bool isInterleaved = false, hasPositions = false;

  bool operator==(const RopeSpec &) const = default;
  std::string name() const;
  llvm::SmallVector<mlir::Type> inputTypes(mlir::Builder &builder) const;
  mlir::Type outputType() const;
};

} // namespace moec
