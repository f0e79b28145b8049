// Random operands of attention, in every form.
#pragma once

#include "test/unit/dialects/attention_reference.h"
#include "gtest/gtest.h"
#include <cmath>

namespace moec::test {

struct Sizes {
  int64_t batch, queries, heads, kvHeads, keys, depth, valueDepth;
};

inline std::vector<Array> randomInputs(std::mt19937 &random, const Form &form, const Sizes &s,
                                       moec_element_type type = MOEC_F32) {
  auto someOf = [&](int64_t count, int64_t most) {
    return randomIntegers(random, {count}, 0, most);
  };
  return form.inputs(randomArray(random, {s.batch, s.queries, s.heads, s.depth}, type),
                     randomArray(random, {s.batch, s.kvHeads, s.keys, s.depth}, type),
                     randomArray(random, {s.batch, s.kvHeads, s.keys, s.valueDepth}, type),
                     randomArray(random, {1, s.heads, 1, std::max<int64_t>(s.keys - 2, 0)}, type),
                     randomIntegers(random, {s.batch, 1, s.queries, s.keys}, 0, 1, MOEC_BOOL),
                     randomArray(random, {s.heads}, type), someOf(s.batch, s.keys),
                     someOf(s.batch, s.keys));
}

inline Form withSizes(Form form, const Sizes &s) {
  form.heads = s.heads;
  form.kvHeads = s.kvHeads;
  form.depth = s.depth;
  form.valueDepth = s.valueDepth;
  return form;
}

/// For a mask, lengths and offsets: operands of which some must not be read or
/// added.
constexpr Sizes kHiddenSizes{2, 9, 4, 2, 140, 16, 16};
inline Form hiddenForm() {
  return withSizes({.mask = true, .lengths = true, .offsets = true, .left = 100, .right = 0},
                   kHiddenSizes);
}
inline std::vector<Array> hiddenInputs(std::mt19937 &random, const Form &form,
                                       moec_element_type type = MOEC_F32) {
  std::vector<Array> inputs = randomInputs(random, form, kHiddenSizes, type);
  // Row 0 has no keys at all; query 3 of row 1 has all masked.
  inputs[4] = array({2}, {0, 120}, MOEC_I64);
  inputs[5] = array({2}, {100, 104}, MOEC_I64);
  for (int64_t i = 0; i < 9; ++i)
    for (int64_t j = 0; j < 140; ++j)
      for (int64_t b = 0; b < 2; ++b)
        if (j == 60 || (b == 1 && i == 3))
          inputs[3].at({b, 0, i, j}) = 0;
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t m = 0; m < 2; ++m)
      for (int64_t j : {60, 2, 121, 139})
        for (int64_t d = 0; d < 16; ++d) {
          inputs[1].at({b, m, j, d}) = j == 60 ? NAN : INFINITY;
          inputs[2].at({b, m, j, d}) = NAN;
        }
  return inputs;
}
inline void expectNothingOfHidden(const Array &y) {
  for (int64_t n = 0; n < 4; ++n)
    for (int64_t e = 0; e < 16; ++e) {
      EXPECT_EQ(y.at({0, 5, n, e}), 0);
      EXPECT_EQ(y.at({1, 3, n, e}), 0);
    }
}

/// Keys or values [1,m,tokens,d] in a cache of a capacity, NaN where nothing is
/// stored yet.
inline Array inCache(const Array &a, int64_t capacity) {
  Array result = zeros({1, a.shape[1], capacity, a.shape[3]}, a.type);
  for (int64_t m = 0; m < a.shape[1]; ++m)
    for (int64_t t = 0; t < capacity; ++t)
      for (int64_t d = 0; d < a.shape[3]; ++d)
        result.at({0, m, t, d}) = t < a.shape[2] ? a.at({0, m, t, d}) : NAN;
  return result;
}

} // namespace moec::test
