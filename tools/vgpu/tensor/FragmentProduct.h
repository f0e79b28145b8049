#pragma once
// Products whose sums stay in the registers of C, where fragments have them
// (Fragment.h): lane 4 g + t has row g of a block of eight, and columns 2 t and
// 2 t + 1 in two registers. What such a lane needs of A is in its quad, and what it
// needs of B is the same in every quad. Private to the arithmetic.

#include "tensor/Product.h"
#include "tensor/Unpack.h"

#include <utility>

namespace vgpu::tensor {
namespace {

/// Vectors that make up a register of 32 lanes.
constexpr int kPieces = 32 / kWide;
using WideRegister = WideWords[kPieces];

inline void load(WideRegister &to, const uint32_t *from) {
  for (int piece = 0; piece < kPieces; ++piece)
    load(to[piece], from + piece * kWide);
}

/// out[lane] = lane Index::of(lane) of a and b, one after the other.
template <class Index>
[[gnu::always_inline]] inline void permute(const WideWords &a, const WideWords &b, WideWords &out) {
  [&]<int... lane>(std::integer_sequence<int, lane...>) __attribute__((always_inline)) {
    out = __builtin_shufflevector(a, b, Index::of(lane)...);
  }(std::make_integer_sequence<int, kWide>());
}

template <int t> struct OfQuad {
  static constexpr int of(int lane) { return lane / 4 * 4 + t; }
};
template <int first> struct ToQuads {
  static constexpr int of(int lane) { return first + lane / 4; }
};
template <int t, int odd> struct OfColumn {
  static constexpr int of(int lane) { return 4 * (2 * (lane % 4) + odd) + t; }
};

/// In every quad, lane t' gets lane 4 (2 t' + odd) + t: of the rows that lanes with t
/// hold of B, the columns of a register of C.
template <int t, int odd>
[[gnu::always_inline]] inline void columnsOf(const Word16 (&b)[2], Word16 &out) {
  permute<OfColumn<t, odd>>(b[0], b[1], out);
}
template <int t, int odd>
[[gnu::always_inline]] inline void columnsOf(const Word8 (&b)[4], Word8 &out) {
  constexpr int at = 4 * odd + t, next = at + 8; // vector t' has one of them
  Word8 low = __builtin_shufflevector(b[0], b[1], at, next, at, next, at, next, at, next);
  Word8 high = __builtin_shufflevector(b[2], b[3], at, next, at, next, at, next, at, next);
  out = __builtin_shufflevector(low, high, 0, 1, 8, 9, 4, 5, 12, 13);
}

template <class Words>
[[gnu::always_inline]] inline void canonicalize(Words &words) { // the machine has one NaN
  auto isNan = (Words)((words & 0x7fffffff) > 0x7f800000);
  words = (words & ~isNan) | (isNan & 0x7fffffff);
}

inline void storeSum(const WideFloats &sum, uint32_t *to) {
  auto words = (WideWords)sum;
  canonicalize(words);
  store(to, words);
}

/// mma.sync of 16 rows, 8 columns and floats, with k ascending: the elements of a
/// register are next to each other along k, and so are the lanes of a quad.
template <Format formatA, Format formatB>
void multiplyFragments(const ConstRegister *a, const ConstRegister *b, const ConstRegister *c,
                       const Register *d, int registersOfB) {
  constexpr int pack = packOf(formatA);
  WideFloats sums[2][2][kPieces]; // by block of rows, and whether the column is odd
  for (int number = 0; number < 4; ++number)
    for (int piece = 0; piece < kPieces; ++piece)
      load(sums[number / 2][number % 2][piece], c[number] + piece * kWide);
  for (int r = 0; r < registersOfB; ++r) {
    WideRegister packedA[2], packedB, left[pack][2], right[pack];
    load(packedA[0], a[2 * r]), load(packedA[1], a[2 * r + 1]), load(packedB, b[r]);
    for (int element = 0; element < pack; ++element)
      for (int piece = 0; piece < kPieces; ++piece) {
        unpack<formatB>(packedB[piece], element, right[element][piece]);
        for (int block = 0; block < 2; ++block)
          unpack<formatA>(packedA[block][piece], element, left[element][block][piece]);
      }
    auto step = [&]<int t, int element>() __attribute__((always_inline)) {
      WideWords even, odd;
      columnsOf<t, 0>(right[element], even);
      columnsOf<t, 1>(right[element], odd);
      for (int block = 0; block < 2; ++block)
        for (int piece = 0; piece < kPieces; ++piece) {
          const WideWords &from = left[element][block][piece];
          WideWords row;
          permute<OfQuad<t>>(from, from, row);
          sums[block][0][piece] += (WideFloats)row * (WideFloats)even;
          sums[block][1][piece] += (WideFloats)row * (WideFloats)odd;
        }
    };
    [&]<int... k>(std::integer_sequence<int, k...>) __attribute__((always_inline)) {
      (step.template operator()<k / pack, k % pack>(), ...);
    }(std::make_integer_sequence<int, 4 * pack>());
  }
  for (int number = 0; number < 4; ++number)
    for (int piece = 0; piece < kPieces; ++piece)
      storeSum(sums[number / 2][number % 2][piece], d[number] + piece * kWide);
}

// --- wgmma: 16 rows of a warp, and blocks of eight columns, four registers each.

/// a (depth × 16) with every row in all lanes of its quad: the registers that hold
/// rows 0 to 7, and those that hold the others.
inline void spreadToQuads(const float *a, int depth, WideFloats (*out)[2][kPieces]) {
  [&]<int... number>(std::integer_sequence<int, number...>) {
    for (int step = 0; step < depth; ++step, a += 16) {
      auto fill = [&]<int row>(WideFloats &to) __attribute__((always_inline)) {
        WideWords from, rows;
        load(from, a + row / kWide * kWide);
        permute<ToQuads<row % kWide>>(from, from, rows);
        to = (WideFloats)rows;
      };
      (fill.template operator()<number * kWide / 4>(out[step][number / kPieces][number % kPieces]),
       ...);
    }
  }(std::make_integer_sequence<int, 2 * kPieces>());
}

/// Four floats, to the lanes of every quad.
[[gnu::always_inline]] inline void toEveryQuad(const float *from, WideFloats &out) {
  typedef float Float4 __attribute__((vector_size(16)));
  Float4 four;
  load(four, from);
  [&]<int... lane>(std::integer_sequence<int, lane...>) __attribute__((always_inline)) {
    out = __builtin_shufflevector(four, four, (lane % 4)...);
  }(std::make_integer_sequence<int, kWide>());
}

struct RowProduct {
  const WideFloats (*a)[2][kPieces]; ///< of each step, as spreadToQuads makes them
  const float *b;                    ///< depth × width; of each eight columns, even ones first
  int width, depth;
  bool accumulates;    ///< onto what is in d, and not onto zero
  bool startsFromZero; ///< that is added last
  const Register *d;
};

/// As many sums as the machine has registers for: of `tall` blocks of rows and `wide`
/// blocks of columns.
template <class Add, int tall, int wide>
[[gnu::always_inline]] inline void sumTile(const RowProduct &product, int firstTall,
                                           int firstWide) {
  WideFloats sums[wide][tall][2][kPieces];
  auto eachSum = [&](auto visit) __attribute__((always_inline)) {
    for (int block = 0; block < wide; ++block)
      for (int rows = 0; rows < tall; ++rows)
        for (int odd = 0; odd < 2; ++odd)
          for (int piece = 0; piece < kPieces; ++piece)
            visit(sums[block][rows][odd][piece],
                  product.d[4 * (firstWide + block) + 2 * (firstTall + rows) + odd] +
                      piece * kWide);
  };
  eachSum([&](WideFloats &sum, const uint32_t *from) __attribute__((always_inline)) {
    sum = WideFloats{};
    if (product.accumulates && !product.startsFromZero)
      load(sum, from);
  });
  const float *b = product.b + 8 * firstWide;
  for (int step = 0; step < product.depth; ++step, b += product.width)
    for (int block = 0; block < wide; ++block)
      for (int odd = 0; odd < 2; ++odd) {
        WideFloats columns;
        toEveryQuad(b + 8 * block + 4 * odd, columns);
        for (int rows = 0; rows < tall; ++rows)
          for (int piece = 0; piece < kPieces; ++piece)
            Add::add(sums[block][rows][odd][piece], product.a[step][firstTall + rows][piece],
                     columns);
      }
  eachSum([&](WideFloats &sum, uint32_t *to) __attribute__((always_inline)) {
    if (product.startsFromZero) {
      WideFloats accumulator{};
      if (product.accumulates)
        load(accumulator, to);
      sum += accumulator;
    }
    storeSum(sum, to);
  });
}

template <class Add> void multiplyRows(const RowProduct &product) {
  constexpr int tall = kWide == 16 ? 2 : 1, wide = kWide == 16 ? 2 : 1;
  int column = 0, columns = product.width / 8;
  for (; column + wide <= columns; column += wide)
    for (int row = 0; row < 2; row += tall)
      sumTile<Add, tall, wide>(product, row, column);
  for (; column < columns; ++column)
    for (int row = 0; row < 2; row += tall)
      sumTile<Add, tall, 1>(product, row, column);
}

} // namespace
} // namespace vgpu::tensor
