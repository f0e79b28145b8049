#pragma once
// Vectors of eight and sixteen lanes, as the compiler's generic vectors. Private to
// the arithmetic, which is compiled for several instruction sets: all unnamed.

#include <cstdint>
#include <cstring>

namespace vgpu::tensor {
namespace {

typedef float Float8 __attribute__((vector_size(32)));
typedef int32_t Int8 __attribute__((vector_size(32)));
typedef uint32_t Word8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));
typedef int32_t Int16 __attribute__((vector_size(64)));
typedef uint32_t Word16 __attribute__((vector_size(64)));
typedef uint32_t Word4 __attribute__((vector_size(16)));

/// Other elements in as many lanes.
template <class Words> struct SameLanes;
template <> struct SameLanes<Word8> {
  using Floats = Float8;
  using Ints = Int8;
};
template <> struct SameLanes<Word16> {
  using Floats = Float16;
  using Ints = Int16;
};

/// The widest that one register holds, and its lanes.
#ifdef __AVX512F__
using WideWords = Word16;
#else
using WideWords = Word8;
#endif
using WideFloats = SameLanes<WideWords>::Floats;
constexpr int kWide = sizeof(WideWords) / 4;

// By reference: passing vectors by value depends on the instruction set.
template <class V> [[gnu::always_inline]] inline void load(V &to, const void *from) {
  std::memcpy(&to, from, sizeof to);
}
template <class V> [[gnu::always_inline]] inline void store(void *to, const V &from) {
  std::memcpy(to, &from, sizeof from);
}

/// columns[t][g] = words[4 g + t].
[[gnu::always_inline]] inline void transpose8x4(const uint32_t *words, Word8 *columns) {
  Word8 a, b, c, d;
  load(a, words), load(b, words + 8), load(c, words + 16), load(d, words + 24);
  Word8 low01 = __builtin_shufflevector(a, b, 0, 4, 8, 12, 1, 5, 9, 13);
  Word8 low23 = __builtin_shufflevector(a, b, 2, 6, 10, 14, 3, 7, 11, 15);
  Word8 high01 = __builtin_shufflevector(c, d, 0, 4, 8, 12, 1, 5, 9, 13);
  Word8 high23 = __builtin_shufflevector(c, d, 2, 6, 10, 14, 3, 7, 11, 15);
  columns[0] = __builtin_shufflevector(low01, high01, 0, 1, 2, 3, 8, 9, 10, 11);
  columns[1] = __builtin_shufflevector(low01, high01, 4, 5, 6, 7, 12, 13, 14, 15);
  columns[2] = __builtin_shufflevector(low23, high23, 0, 1, 2, 3, 8, 9, 10, 11);
  columns[3] = __builtin_shufflevector(low23, high23, 4, 5, 6, 7, 12, 13, 14, 15);
}

} // namespace
} // namespace vgpu::tensor
