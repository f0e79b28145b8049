// Attention by warps is what the op's description says, in every form, and a
// row's bits depend on nothing but what the row sees: not on the batch, the split
// of a prefill, the size of a cache, or whether chunks are merged in registers.
#include "test/unit/kernels/attention_cases.h"
#include "test/unit/kernels/device_program.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>

using namespace moec;
using namespace moec::test;

namespace {

struct Element {
  const char *name;
  moec_element_type type;
  double threshold;
};
constexpr Element kF32{"f32", MOEC_F32, 2e-6}, kF16{"f16", MOEC_F16, 1e-3},
    kBf16{"bf16", MOEC_BF16, 8e-3};

class CudaAttentionTest : public testing::Test {
protected:
  std::unique_ptr<DeviceProgram> compile(const Form &form) {
    return std::make_unique<DeviceProgram>(form.source(), testedCudaChip());
  }

  void expectFormula(Form form, const Sizes &sizes, const Element &element) {
    form = withSizes(form, sizes);
    form.type = element.name;
    auto program = compile(form);
    ASSERT_TRUE(program->valid()) << form.source();
    std::vector<Array> inputs = randomInputs(random, form, sizes, element.type);
    std::vector<Array> results = program->run(inputs);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_LT(difference(results[0], attention(form, inputs)), element.threshold) << form.source();
  }

  std::mt19937 random{7};
};

constexpr Sizes kGrouped{2, 5, 6, 2, 150, 24, 16};

TEST_F(CudaAttentionTest, ShapesOfAllKinds) {
  // Many, grouped and shared key heads; several tiles of rows; odd widths, which
  // no unit of 16 bytes divides; heads so wide that products loop; no queries, keys
  // or both.
  for (const Element &element : {kF32, kBf16})
    for (const Sizes &sizes : {Sizes{2, 3, 4, 4, 70, 64, 64}, Sizes{1, 30, 3, 1, 100, 37, 5},
                               Sizes{3, 1, 8, 2, 130, 96, 80}, Sizes{1, 2, 40, 1, 65, 16, 136},
                               Sizes{1, 3, 2, 1, 70, 296, 16}, Sizes{1, 4, 2, 2, 0, 8, 8},
                               Sizes{1, 0, 2, 2, 5, 8, 8}, Sizes{2, 1, 2, 1, 1, 1, 1}})
      expectFormula({.lengths = true, .offsets = true, .right = 0, .scale = 0.1}, sizes, element);
}

TEST_F(CudaAttentionTest, FormsOfAllKinds) {
  for (const Element &element : {kF32, kF16, kBf16}) {
    expectFormula({.offsets = true, .left = 70, .right = 9}, kGrouped, element);
    expectFormula({.bias = true, .softcap = 1.5, .scale = 2}, kGrouped, element);
    expectFormula({.mask = true, .lengths = true}, kGrouped, element);
    expectFormula({.sink = true, .offsets = true, .left = 0, .right = 0}, kGrouped, element);
  }
}

TEST_F(CudaAttentionTest, ChunksOfEverySize) {
  for (int64_t chunk : {3, 40, 200})
    expectFormula({.bias = true,
                   .mask = true,
                   .sink = true,
                   .lengths = true,
                   .offsets = true,
                   .left = 90,
                   .right = 0,
                   .softcap = 5,
                   .chunk = chunk},
                  kGrouped, chunk == 40 ? kBf16 : kF32);
}

/// So many tiles that chunks are merged in registers; o has two parts.
TEST_F(CudaAttentionTest, ManyTilesAreMergedInRegisters) {
  Form form{.sink = true, .lengths = true, .offsets = true, .right = 0};
  for (const Element &element : {kF32, kBf16})
    expectFormula(form, {70, 5, 4, 4, 140, 16, 136}, element);
}

TEST_F(CudaAttentionTest, WhatARowDoesNotSeeIsNeverReadOrAdded) {
  for (const Element &element : {kF32, kBf16}) {
    Form form = hiddenForm();
    form.type = element.name;
    auto program = compile(form);
    ASSERT_TRUE(program->valid());
    std::vector<Array> inputs = hiddenInputs(random, form, element.type);
    Array y = program->run(inputs)[0];
    EXPECT_LT(difference(y, attention(form, inputs)), element.threshold);
    expectNothingOfHidden(y);
  }
}

/// Parts of a prefill and single tokens, from caches of some capacity with NaN
/// where nothing is stored, in a batch that is merged in registers.
TEST_F(CudaAttentionTest, PrefillAndDecodeAndPaddingAgreeBitForBit) {
  for (const Element &element : {kF32, kF16, kBf16}) {
    Form form = withSizes({.sink = true, .lengths = true, .offsets = true, .left = 90, .right = 0},
                          {1, 0, 8, 2, 0, 24, 16});
    form.type = element.name;
    auto program = compile(form);
    ASSERT_TRUE(program->valid());
    for (unsigned seed = 0; seed < 6; ++seed) {
      random.seed(seed);
      int64_t tokens = 60 + random() % 120, capacity = tokens + random() % 100;
      Array q = randomArray(random, {1, tokens, 8, 24}, element.type);
      Array k = randomArray(random, {1, 2, tokens, 24}, element.type);
      Array v = randomArray(random, {1, 2, tokens, 16}, element.type);
      Array sink = randomArray(random, {8}, element.type);
      auto run = [&](Array q, Array k, Array v, int64_t length, int64_t offset) {
        double rows = q.shape[0];
        return program->run({q, k, v, sink,
                             array({q.shape[0]}, std::vector<double>(rows, length), MOEC_I64),
                             array({q.shape[0]}, std::vector<double>(rows, offset), MOEC_I64)})[0];
      };
      Array whole = run(q, k, v, tokens, 0);
      auto padded = [&](const Array &a) { return inCache(a, capacity); };
      for (int64_t from = 0; from < tokens;) {
        int64_t to = std::min<int64_t>(tokens, from + 1 + random() % 70);
        Array part = run(slice(q, 1, from, to), padded(k), padded(v), to, from);
        EXPECT_TRUE(identical(part, slice(whole, 1, from, to))) << seed << ": " << from;
        Array last =
            run(slice(q, 1, to - 1, to), slice(k, 2, 0, to), slice(v, 2, 0, to), to, to - 1);
        EXPECT_TRUE(identical(last, slice(whole, 1, to - 1, to))) << seed << ": " << to;
        from = to;
      }
      // 150 equal rows of two tokens.
      auto repeated = [](const Array &a) {
        Array result = a;
        result.shape[0] = 150;
        for (int64_t i = 1; i < 150; ++i)
          result.values.insert(result.values.end(), a.values.begin(), a.values.end());
        return result;
      };
      Array many = run(repeated(slice(q, 1, tokens - 2, tokens)), repeated(k), repeated(v), tokens,
                       tokens - 2);
      EXPECT_TRUE(identical(slice(many, 0, 149, 150), slice(whole, 1, tokens - 2, tokens))) << seed;
    }
  }
}

TEST_F(CudaAttentionTest, RowsDoNotDependOnTheBatch) {
  constexpr Sizes sizes{64, 3, 4, 1, 90, 16, 16};
  for (const Element &element : {kF32, kBf16}) {
    Form form = withSizes({.bias = true, .lengths = true, .offsets = true, .right = 0}, sizes);
    form.type = element.name;
    auto program = compile(form);
    ASSERT_TRUE(program->valid());
    std::vector<Array> inputs = randomInputs(random, form, sizes, element.type);
    Array y = program->run(inputs)[0];
    for (int64_t b = 0; b < 64; b += 1 + random() % 19) {
      std::vector<Array> one = inputs;
      for (size_t operand : {0, 1, 2, 4, 5})
        one[operand] = slice(inputs[operand], 0, b, b + 1);
      EXPECT_TRUE(identical(program->run(one)[0], slice(y, 0, b, b + 1))) << b;
    }
  }
}

} // namespace
