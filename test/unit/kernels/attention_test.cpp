// Generated attention is what the op's description says, on every chip and in
// every form, and a row's bits depend on nothing but what the row sees.
#include "test/unit/kernels/attention_cases.h"
#include "test/unit/kernels/chip_suite.h"
#include <cmath>

using namespace moec;
using namespace moec::test;

namespace {

class AttentionTest : public ChipSuite {
protected:
  /// The program of a form, which must have become a kernel.
  std::unique_ptr<Program> compile(const Form &form) {
    return std::make_unique<Program>(
        form.source(), "moec-select-kernels{chip=" + std::string(GetParam()) + "}", GetParam());
  }

  void expectFormula(Form form, const Sizes &sizes, double threshold = 2e-6,
                     moec_element_type type = MOEC_F32) {
    form = withSizes(form, sizes);
    auto program = compile(form);
    ASSERT_TRUE(program->valid()) << form.source();
    std::vector<Array> inputs = randomInputs(random, form, sizes, type);
    std::vector<Array> results = program->run(inputs);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_LT(difference(results[0], attention(form, inputs)), threshold) << form.source();
    EXPECT_TRUE(identical(program->run(inputs, 1000)[0], results[0])) << form.source();
  }
};

constexpr Sizes kGrouped{2, 5, 6, 2, 150, 24, 10};

TEST_P(AttentionTest, ShapesOfAllKinds) {
  // Many, grouped and shared key heads; odd widths; no queries, keys or both.
  for (const Sizes &sizes :
       {Sizes{2, 3, 4, 4, 70, 64, 64}, Sizes{1, 70, 3, 1, 200, 37, 5},
        Sizes{3, 1, 8, 2, 130, 96, 80}, Sizes{1, 2, 80, 1, 65, 16, 33}, Sizes{1, 4, 2, 2, 0, 8, 8},
        Sizes{1, 0, 2, 2, 5, 8, 8}, Sizes{2, 1, 2, 1, 1, 1, 1}})
    expectFormula({.lengths = true, .offsets = true, .right = 0, .scale = 0.1}, sizes);
}

TEST_P(AttentionTest, FormsOfAllKinds) {
  expectFormula({.offsets = true, .left = 70, .right = 9}, kGrouped);
  expectFormula({.bias = true, .softcap = 1.5, .scale = 2}, kGrouped);
  expectFormula({.mask = true, .lengths = true}, kGrouped);
  expectFormula({.sink = true, .offsets = true, .left = 0, .right = 0}, kGrouped);
}

TEST_P(AttentionTest, ChunksOfEverySize) {
  for (int64_t chunk : {3, 65, 200})
    expectFormula({.bias = true,
                   .mask = true,
                   .sink = true,
                   .lengths = true,
                   .offsets = true,
                   .left = 90,
                   .right = 0,
                   .softcap = 5,
                   .chunk = chunk},
                  kGrouped);
}

TEST_P(AttentionTest, NarrowElementTypes) {
  Form form{.bias = true, .sink = true, .lengths = true, .offsets = true, .right = 0};
  form.type = "f16";
  expectFormula(form, kGrouped, 1e-3, MOEC_F16);
  form.type = "bf16";
  expectFormula(form, kGrouped, 8e-3, MOEC_BF16);
}

TEST_P(AttentionTest, WhatARowDoesNotSeeIsNeverReadOrAdded) {
  Form form = hiddenForm();
  auto program = compile(form);
  ASSERT_TRUE(program->valid());
  std::vector<Array> inputs = hiddenInputs(random, form);
  Array y = program->run(inputs)[0];
  EXPECT_LT(difference(y, attention(form, inputs)), 2e-6);
  expectNothingOfHidden(y);
}

TEST_P(AttentionTest, PrefillAndDecodeAndPaddingAgreeBitForBit) {
  Form form = withSizes({.sink = true, .lengths = true, .offsets = true, .left = 90, .right = 0},
                        {1, 0, 4, 2, 0, 20, 12});
  auto program = compile(form);
  ASSERT_TRUE(program->valid());
  for (unsigned seed = 0; seed < 20; ++seed) {
    random.seed(seed);
    int64_t tokens = 60 + random() % 120, capacity = tokens + random() % 100;
    Array q = randomArray(random, {1, tokens, 4, 20}), k = randomArray(random, {1, 2, tokens, 20});
    Array v = randomArray(random, {1, 2, tokens, 12}), sink = randomArray(random, {4});
    auto run = [&](Array q, Array k, Array v, int64_t length, int64_t offset) {
      return program->run({q, k, v, sink, array({1}, {double(length)}, MOEC_I64),
                           array({1}, {double(offset)}, MOEC_I64)},
                          1 + random() % 7)[0];
    };
    Array whole = run(q, k, v, tokens, 0);
    auto padded = [&](const Array &a) { return inCache(a, capacity); };
    for (int64_t from = 0; from < tokens;) {
      int64_t to = std::min<int64_t>(tokens, from + 1 + random() % 70);
      Array part = run(slice(q, 1, from, to), padded(k), padded(v), to, from);
      EXPECT_TRUE(identical(part, slice(whole, 1, from, to))) << seed << ": " << from;
      Array last = run(slice(q, 1, to - 1, to), slice(k, 2, 0, to), slice(v, 2, 0, to), to, to - 1);
      EXPECT_TRUE(identical(last, slice(whole, 1, to - 1, to))) << seed << ": " << to;
      from = to;
    }
  }
}

TEST_P(AttentionTest, RowsDoNotDependOnTheBatch) {
  constexpr Sizes sizes{64, 3, 4, 1, 90, 12, 12};
  Form form = withSizes({.bias = true, .lengths = true, .offsets = true, .right = 0}, sizes);
  auto program = compile(form);
  ASSERT_TRUE(program->valid());
  std::vector<Array> inputs = randomInputs(random, form, sizes);
  Array y = program->run(inputs)[0];
  for (int64_t b = 0; b < 64; b += 1 + random() % 9) {
    std::vector<Array> one = inputs;
    for (size_t operand : {0, 1, 2, 4, 5})
      one[operand] = slice(inputs[operand], 0, b, b + 1);
    EXPECT_TRUE(identical(program->run(one)[0], slice(y, 0, b, b + 1))) << b;
  }
}

MOEC_ON_ALL_CHIPS(AttentionTest);

} // namespace
