//===- HeadUnits.h - heads, 16 bytes a thread ------------------------------===//
//
// Kernels that copy or rotate heads give each thread a unit: as many elements of
// a head as the widest access has, or as many pairs of a rotation as their first
// or both elements fill it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "lib/kernels/RopeSpec.h"
#include "lib/kernels/cuda/RowFloats.h"

namespace moec::cuda {

inline constexpr int64_t kHeadThreads = 128;

/// A unit of a head, of a number that is counted unit by unit, head by head, row
/// by row: i32.
struct HeadUnit {
  HeadUnit(BlockBuilder &b, mlir::Value number, int64_t units, int64_t heads)
      : unit(b.remainder(number, units)), head(b.remainder(b.divided(number, units), heads)),
        row(b.divided(number, units * heads)) {}

  mlir::Value unit, head, row;
};

/// Copies heads of `depth` elements.
class HeadCopy {
public:
  HeadCopy(mlir::Type element, int64_t depth) : element(element), depth(depth) {}

  int64_t units() const;
  /// Zeros if `source` is null. `isAligned`: whether all heads of both begin at
  /// multiples of kUnitBytes.
  void copy(BlockBuilder &b, mlir::Value source, mlir::Value destination, mlir::Value unit,
            mlir::Value isAligned) const;

private:
  mlir::Type element;
  int64_t depth;
};

/// Rotates heads.
class HeadRotation {
public:
  /// Of the kernel's inputs.
  HeadRotation(BlockBuilder &b, const RopeSpec &op, mlir::ValueRange inputs);

  static int64_t units(const RopeSpec &op);
  /// Writes a unit of a head of x to the head that begins at `destination`;
  /// `y` is the memory of that.
  void rotate(mlir::Value batch, mlir::Value token, mlir::Value head, mlir::Value unit,
              const RowMemory &y, mlir::Value destination);

private:
  void rotatePairs(mlir::Value pair, int64_t count);

  BlockBuilder &b;
  const RopeSpec &op;
  RowMemory x, cosines, sines, positions;
  /// Of the cache of angles.
  mlir::Value cacheRows;
  /// Where the head and its angles are, and where it goes to.
  mlir::Value source, cosine, sine, target;
};

} // namespace moec::cuda
