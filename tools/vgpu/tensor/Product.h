#pragma once
// The inner loops: d += a × b, with each sum in the order of k. Private to the
// arithmetic.

#include "tensor/Arithmetic.h"
#include "tensor/Vectors.h"

#include <type_traits>

namespace vgpu::tensor {
namespace {

/// What a sum does with each product. Rounds after the product and after the
/// sum: the products of 8- and 16-bit formats and of tf32 are exact in f32
/// unless they leave its range.
struct Exact {
  template <class V, class T>
  [[gnu::always_inline]] static void add(V &sum, const T &a, const V &b) {
    sum += a * b;
  }
};
/// Keeps 13 bits of the mantissa of every partial sum.
struct Truncated {
  template <class V, class T>
  [[gnu::always_inline]] static void add(V &sum, const T &a, const V &b) {
    sum += a * b;
    typedef uint32_t Words __attribute__((vector_size(sizeof(V))));
    Words words;
    std::memcpy(&words, &sum, sizeof words);
    words &= 0xffff'fc00;
    std::memcpy(&sum, &words, sizeof sum);
  }
};

/// `rows` × `vectors` sums in registers. d has `width` columns, a has `height`.
template <class Add, class V, int rows, int vectors, class T>
[[gnu::always_inline]] inline void tile(T *d, const T *a, const T *b, int width, int height,
                                        int depth) {
  constexpr int lanes = sizeof(V) / sizeof(T);
  V sums[rows][vectors];
  for (int row = 0; row < rows; ++row)
    for (int vector = 0; vector < vectors; ++vector)
      load(sums[row][vector], d + row * width + vector * lanes);
  for (int k = 0; k < depth; ++k) {
    V right[vectors];
    for (int vector = 0; vector < vectors; ++vector)
      load(right[vector], b + k * strideOfB(width) + vector * lanes);
    for (int row = 0; row < rows; ++row)
      for (int vector = 0; vector < vectors; ++vector)
        Add::add(sums[row][vector], a[k * height + row], right[vector]);
  }
  for (int row = 0; row < rows; ++row)
    for (int vector = 0; vector < vectors; ++vector)
      store(d + row * width + vector * lanes, sums[row][vector]);
}

/// d (rows × width) += a (depth × rows) × b (depth × width, as strideOfB says); rows is
/// 8 or 16, width a multiple of 8.
template <class Add, class T>
void multiply(T *d, const T *a, const T *b, int rows, int width, int depth) {
  using Narrow = std::conditional_t<std::is_same_v<T, float>, Float8, Int8>;
#ifdef __AVX512F__
  using Wide = std::conditional_t<std::is_same_v<T, float>, Float16, Int16>;
#else
  using Wide = Narrow;
#endif
  constexpr int wide = 2 * sizeof(Wide) / sizeof(T);
  int column = 0;
  for (; column + wide <= width; column += wide)
    for (int row = 0; row < rows; row += 4)
      tile<Add, Wide, 4, 2>(d + row * width + column, a + row, b + column, width, rows, depth);
  for (; column < width; column += 8)
    for (int row = 0; row < rows; row += 8)
      tile<Add, Narrow, 8, 1>(d + row * width + column, a + row, b + column, width, rows, depth);
}

} // namespace
} // namespace vgpu::tensor
