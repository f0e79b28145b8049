//===- PackedLayout.h - matrices as the matmul kernels read them -----------===//
#pragma once

#include "llvm/Support/MathExtras.h"
#include <array>
#include <cstdint>

namespace moec {

/// One matrix [n,k] per group, cut into panels of `width` rows of which column
/// after column is contiguous: [groups][panels][k][width]. Rows past the last
/// are zeros.
///
/// A gated matrix holds the rows of g and l of an activation: the first half
/// of a panel are rows of g, the second half the rows of l that belong to them,
/// so that one kernel holds both in registers.
struct PackedLayout {
  int64_t groups = 1;
  int64_t n = 0, k = 0;
  int64_t width = 0;
  bool gated = false;

  /// Columns of the result, of which a panel gives `resultWidth`.
  int64_t resultColumns() const { return gated ? n / 2 : n; }
  int64_t resultWidth() const { return gated ? width / 2 : width; }
  int64_t panels() const { return llvm::divideCeil(resultColumns(), resultWidth()); }
  bool operator==(const PackedLayout &) const = default;
  std::array<int64_t, 4> shape() const { return {groups, panels(), k, width}; }
};

} // namespace moec
