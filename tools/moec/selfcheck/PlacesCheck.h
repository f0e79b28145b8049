//===- PlacesCheck.h - does a sum depend on where it is computed -----------===//
//
// Kernels give a token the same bits in any batch because an element of a tile's
// product depends on its row and its column alone: not on where in the tile they
// are, on how many columns there are, or on what the others hold. So tiles are
// multiplied again with their rows and columns elsewhere, and with others that are
// not even numbers.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/Status.h"

#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace moec::tools {

/// A type of 16 bits.
struct Format {
  const char *name;
  int mantissaBits, bias;

  /// Magnitudes of a wide range, so that sums round often.
  uint16_t draw(std::mt19937 &random) const;
  /// The largest number, an infinity or a NaN.
  uint16_t drawPoison(std::mt19937 &random) const;
  /// Of a number that is not subnormal.
  double value(uint16_t bits) const;
};
inline constexpr Format kBf16{"bf16", 7, 127}, kF16{"f16", 10, 15};

/// Rows of equal length, which lie together.
template <class T> struct Rows {
  Rows(int count, int length) : length(length), data(size_t(count) * length) {}
  T *operator[](int row) { return &data[size_t(row) * length]; }
  const T *operator[](int row) const { return &data[size_t(row) * length]; }

  int length;
  std::vector<T> data;
};

/// d[i][j] = c[i][j] + sum over k of a[i][k] b[j][k].
struct Tile {
  Tile(int rows, int columns, int depth)
      : rows(rows), columns(columns), a(rows, depth), b(columns, depth), c(rows, columns) {}
  int rows, columns;
  Rows<uint16_t> a, b;
  Rows<float> c;
};

/// Multiplies a tile in the way that is checked.
using Multiply = std::function<runtime::Status(const Tile &tile, Rows<float> &d)>;

class PlacesCheck {
public:
  /// Without `hasC`, c is zero.
  PlacesCheck(const Format &format, Multiply multiply, bool hasC)
      : format(format), multiply(std::move(multiply)), hasC(hasC) {}

  /// Takes a random tile, whose product must be near the exact one.
  runtime::Status begin(int rows, int columns, int depth);
  /// The same products elsewhere, in a tile of `columns` columns; `withPoison`
  /// most of its rows and columns are poison.
  runtime::Status repeat(int columns, bool withPoison);

  /// How many elements were compared.
  int64_t compared() const { return compared_; }

private:
  /// Which row and column of the reference each one of a tile is; -1: poison.
  struct Places {
    std::vector<int> rows, columns;
  };

  std::vector<int> drawPlaces(int count, int all, bool withPoison);
  void fill(const std::vector<int> &places, const Rows<uint16_t> &from, Rows<uint16_t> &to);
  runtime::Status compareWithExact() const;
  runtime::Status compare(const Places &places, const Rows<float> &d);

  Format format;
  Multiply multiply;
  bool hasC;
  std::mt19937 random{1};
  std::unique_ptr<Tile> reference;
  std::unique_ptr<Rows<float>> product;
  int64_t compared_ = 0;
};

} // namespace moec::tools
