//===- PackedLayout.h - matrices as the matmul kernels read them -----------===//
#pragma once

#include "llvm/Support/MathExtras.h"
#include <array>
#include <cstdint>

namespace moec {

/// Which rows of a matrix give the two operands g and l of a gate, as in
/// #moe.activation.
enum class GateRows { none, interleaved, halves };

/// One matrix [n,k] per group, cut into panels of `width` rows of which column
/// after column is contiguous: [groups][panels][k][width]. Rows past the last
/// are zeros.
///
/// With a gate, the first half of a panel are rows of g and the second half
/// the rows of l that belong to them, so that one kernel holds both in
/// registers.
struct PackedLayout {
  int64_t groups = 1;
  int64_t n = 0, k = 0;
  int64_t width = 0;
  GateRows gate = GateRows::none;

  bool isGated() const { return gate != GateRows::none; }
  /// Columns of the result, of which a panel gives `resultWidth`.
  int64_t resultColumns() const { return isGated() ? n / 2 : n; }
  int64_t resultWidth() const { return isGated() ? width / 2 : width; }
  int64_t panels() const { return llvm::divideCeil(resultColumns(), resultWidth()); }
  std::array<int64_t, 4> shape() const { return {groups, panels(), k, width}; }

  /// The matrix row behind column `column` of the result: of g or all there
  /// is (`part` 0), or of l (`part` 1).
  int64_t matrixRow(int64_t column, int64_t part) const {
    switch (gate) {
    case GateRows::none:
      return column;
    case GateRows::interleaved:
      return 2 * column + part;
    case GateRows::halves:
      return column + part * resultColumns();
    }
    return -1;
  }

  bool operator==(const PackedLayout &) const = default;
};

} // namespace moec
