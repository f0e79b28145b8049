//===- PackedLayout.h - matrices as the matmul kernels read them -----------===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MathExtras.h"
#include <array>
#include <cstdint>

namespace moec {

/// What a packed matrix is made of: floats, or unsigned integers q that stand
/// for (q - zero) * scale.
enum class WeightType { f32, f16, bf16, int8, int4, int2 };

/// "f32", "int4", ...
llvm::StringRef nameOf(WeightType type);
WeightType weightTypeOf(llvm::StringRef name);
int64_t bitsOf(WeightType type);
constexpr bool isInteger(WeightType type) { return type >= WeightType::int8; }
/// The zero point of integers that state none.
inline int64_t defaultZero(WeightType type) { return int64_t(1) << (bitsOf(type) - 1); }

/// Which rows of a matrix give the two operands g and l of a gate, as in
/// #moe.activation.
enum class GateRows { none, interleaved, halves };

/// One matrix [n,k] per group, cut into panels of `width` rows of which column
/// after column is contiguous: [groups][panels][words][width][together], where
/// a word is `together` consecutive columns of a row. Rows and columns past the
/// last are zeros.
///
/// With a gate, the first half of a panel are rows of g and the second half
/// the rows of l that belong to them, so that one kernel holds both in
/// registers.
///
/// Integers of less than 8 bits fill the bytes of a word from the lowest bit
/// up, byte after byte: of 4 bits, byte i holds columns i and 4 + i. So what
/// is at one place of all bytes are four columns in order, as instructions
/// that multiply bytes want them.
struct PackedLayout {
  int64_t groups = 1;
  int64_t n = 0, k = 0;
  int64_t width = 0;
  GateRows gate = GateRows::none;
  WeightType element = WeightType::f32;
  int64_t together = 1;
  /// Columns of a row that share a scale and a zero point; 0: all.
  int64_t block = 0;

  /// Makes a word the 32 bits that kernels multiply by.
  PackedLayout &inWords() {
    together = 32 / bitsOf(element);
    return *this;
  }
  /// Of one number per row and block: scales or zero points of these rows.
  PackedLayout perBlock(WeightType type) const {
    return {groups, n, blocks(), width, gate, type, 1, 0};
  }

  bool isGated() const { return gate != GateRows::none; }
  /// Columns of the result, of which a panel gives `resultWidth`.
  int64_t resultColumns() const { return isGated() ? n / 2 : n; }
  int64_t resultWidth() const { return isGated() ? width / 2 : width; }
  int64_t panels() const { return llvm::divideCeil(resultColumns(), resultWidth()); }
  int64_t words() const { return llvm::divideCeil(k, together); }
  int64_t blocks() const { return block ? llvm::divideCeil(k, block) : 1; }
  /// Bytes of one word of all rows of a panel, and of a panel.
  int64_t wordBytes() const { return width * together * bitsOf(element) / 8; }
  int64_t panelBytes() const { return words() * wordBytes(); }
  /// Bits of the elements of `shape`: floats, or bytes of integers.
  int64_t storageBits() const { return isInteger(element) ? 8 : bitsOf(element); }
  std::array<int64_t, 4> shape() const {
    return {groups, panels(), words(), wordBytes() * 8 / storageBits()};
  }

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
