#pragma once
// Products whose sums stay in registers. Of fragments (Fragment.h), lane 4 g + t has row g
// of a block of eight, and of C the columns 2 t and 2 t + 1 in two registers. Private to
// the arithmetic.

#include "tensor/Arithmetic.h"
#include "tensor/Product.h"
#include "tensor/Unpack.h"

#include <utility>

namespace vgpu::tensor {
namespace {

/// Vectors that make up a register of 32 lanes.
constexpr int kPieces = 32 / kWide;

/// out[lane] = lane Index::of(lane) of a and b, one after the other.
template <class Index>
[[gnu::always_inline]] inline void permute(const WideWords &a, const WideWords &b, WideWords &out) {
  [&]<int... lane>(std::integer_sequence<int, lane...>) __attribute__((always_inline)) {
    out = __builtin_shufflevector(a, b, Index::of(lane)...);
  }(std::make_integer_sequence<int, kWide>());
}

/// In each quad, two lanes of either, in turn.
template <int first> struct Interleaved {
  static constexpr int of(int lane) {
    return lane / 4 * 4 + first + lane % 4 / 2 + lane % 2 * kWide;
  }
};
template <int first> struct ToQuads {
  static constexpr int of(int lane) { return first + lane / 4; }
};

template <class Words>
[[gnu::always_inline]] inline void canonicalize(Words &words) { // the machine has one NaN
  auto floats = (typename SameLanes<Words>::Floats)words;
  // NOLINTNEXTLINE(misc-redundant-expression): a NaN is not what it is
  words = floats == floats ? words : Words{} + 0x7fffffff;
}

inline void storeSum(const WideFloats &sum, uint32_t *to) {
  auto words = (WideWords)sum;
  canonicalize(words);
  store(to, words);
}

// --- mma.sync of 16 rows, 8 columns and floats, with k ascending: the elements of a
// register are next to each other along k, and so are the lanes of a quad. With its quads
// transposed, a vector is some rows of a column, all multiplied with one number of B.

/// In each quad, lane t of vector i becomes lane i of vector t.
[[gnu::always_inline]] inline void transposeQuads(WideWords (&vectors)[4]) {
  WideWords low[2], high[2]; // t = 0 and 1, and the others: of vectors 0 and 2, and of 1 and 3
  for (int i = 0; i < 2; ++i) {
    permute<Interleaved<0>>(vectors[i], vectors[i + 2], low[i]);
    permute<Interleaved<2>>(vectors[i], vectors[i + 2], high[i]);
  }
  permute<Interleaved<0>>(low[0], low[1], vectors[0]);
  permute<Interleaved<2>>(low[0], low[1], vectors[1]);
  permute<Interleaved<0>>(high[0], high[1], vectors[2]);
  permute<Interleaved<2>>(high[0], high[1], vectors[3]);
}

/// Of the register for each block of rows, `stride` apart, the vectors that hold a quarter
/// each of as many rows as a vector has lanes: of each t, the column.
[[gnu::always_inline]] inline void readColumns(const ConstRegister *registers, int stride,
                                               int group, WideWords (&columns)[4]) {
  for (int i = 0; i < 4; ++i) {
    int number = 4 * group + i;
    load(columns[i], registers[number / kPieces * stride] + number % kPieces * kWide);
  }
  transposeQuads(columns);
}

/// B is unpacked.
template <Format formatA>
[[gnu::always_inline]] inline void
multiplyColumns(const ConstRegister *a, const float (*b)[packOf(formatA)][32], int registersOfB,
                int group, WideFloats (&sums)[8]) {
  constexpr int pack = packOf(formatA);
  for (int r = 0; r < registersOfB; ++r) {
    WideWords packed[4];
    readColumns(a + 2 * r, 1, group, packed);
    for (int t = 0; t < 4; ++t)
      for (int element = 0; element < pack; ++element) {
        WideWords left;
        unpack<formatA>(packed[t], element, left);
        for (int column = 0; column < 8; ++column)
          sums[column] += (WideFloats)left * b[r][element][4 * column + t];
      }
  }
}

template <Format formatA, Format formatB>
void multiplyFragments(const ConstRegister *a, const ConstRegister *b, const ConstRegister *c,
                       const Register *d, int registersOfB) {
  constexpr int kMostRegistersOfB = 2, pack = packOf(formatA), kGroups = 2 * kPieces / 4;
  alignas(64) float right[kMostRegistersOfB][pack][32];
  for (int r = 0; r < registersOfB; ++r)
    for (int piece = 0; piece < kPieces; ++piece) {
      WideWords packed;
      load(packed, b[r] + piece * kWide);
      for (int element = 0; element < pack; ++element) {
        WideWords values;
        unpack<formatB>(packed, element, values);
        store(right[r][element] + piece * kWide, values);
      }
    }
  WideWords columns[kGroups][2][4]; // by whether they are odd, and by t
  for (int group = 0; group < kGroups; ++group) {
    WideFloats sums[8];
    for (int odd = 0; odd < 2; ++odd) {
      readColumns(c + odd, 2, group, columns[group][odd]);
      for (int t = 0; t < 4; ++t)
        sums[2 * t + odd] = (WideFloats)columns[group][odd][t];
    }
    multiplyColumns<formatA>(a, right, registersOfB, group, sums);
    for (int odd = 0; odd < 2; ++odd) {
      for (int t = 0; t < 4; ++t)
        columns[group][odd][t] = (WideWords)sums[2 * t + odd];
      transposeQuads(columns[group][odd]);
    }
  }
  // D may be where A or C is.
  for (int number = 0; number < 2 * kPieces; ++number)
    for (int odd = 0; odd < 2; ++odd)
      storeSum((WideFloats)columns[number / 4][odd][number % 4],
               d[number / kPieces * 2 + odd] + number % kPieces * kWide);
}

// --- wgmma: 16 rows of a warp, and blocks of eight columns, four registers each. What a
// lane needs of A is in its quad, and what it needs of B is the same in every quad.

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
  std::span<const Factors> factors;  ///< b: of each eight columns, even ones first
  int width, depth;                  ///< of each b, whose k are strideOfB(width) apart
  bool accumulates;                  ///< onto what is in d, and not onto zero
  bool startsFromZero;               ///< that is added last
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
  const WideFloats(*a)[2][kPieces] = product.a;
  for (const Factors &factors : product.factors) {
    const float *b = reinterpret_cast<const float *>(factors.b) + 8 * firstWide;
    for (int step = 0; step < product.depth; ++step, ++a, b += strideOfB(product.width))
      for (int block = 0; block < wide; ++block)
        for (int odd = 0; odd < 2; ++odd) {
          WideFloats columns;
          toEveryQuad(b + 8 * block + 4 * odd, columns);
          for (int rows = 0; rows < tall; ++rows)
            for (int piece = 0; piece < kPieces; ++piece)
              Add::add(sums[block][rows][odd][piece], (*a)[firstTall + rows][piece], columns);
        }
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
