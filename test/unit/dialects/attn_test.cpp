// The decompositions of the attn dialect against formulas in double.
#include "test/unit/dialects/attention_reference.h"

#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace moec::test;

namespace {

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

/// Random operands of 2 rows, 5 queries, 4 heads over 2 of keys, 11 keys.
std::vector<Array> randomInputs(std::mt19937 &random, const Form &form,
                                moec_element_type type = MOEC_F32) {
  return form.inputs(
      randomArray(random, {2, 5, 4, 8}, type), randomArray(random, {2, 2, 11, 8}, type),
      randomArray(random, {2, 2, 11, 6}, type), randomArray(random, {1, 4, 1, 9}, type),
      randomIntegers(random, {2, 1, 5, 11}, 0, 1, MOEC_BOOL), randomArray(random, {4}, type),
      array({2}, {7, 11}, MOEC_I64), array({2}, {2, 6}, MOEC_I64));
}

void expectFormula(const Form &form, double threshold = 2e-6, moec_element_type type = MOEC_F32) {
  Program program(form.source());
  ASSERT_TRUE(program.valid()) << form.source();
  std::mt19937 random(7);
  std::vector<Array> inputs = randomInputs(random, form, type);
  std::vector<Array> results = program.run(inputs);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_LT(difference(results[0], attention(form, inputs)), threshold);
}

TEST(Attention, GroupedHeadsAndWiderKeysThanValues) { expectFormula({}); }

TEST(Attention, CausalWithLengthsAndOffsets) {
  expectFormula({.lengths = true, .offsets = true, .right = 0});
}

TEST(Attention, WindowsOnBothSides) {
  expectFormula({.offsets = true, .left = 2, .right = 1});
  expectFormula({.offsets = true, .left = 0, .right = 0});
}

TEST(Attention, SoftcapComesBeforeTheBias) {
  expectFormula({.bias = true, .softcap = 1.5, .scale = 2});
}

TEST(Attention, MaskAndShortBias) { expectFormula({.bias = true, .mask = true, .right = 0}); }

TEST(Attention, SinkTakesProbability) {
  expectFormula({.sink = true, .lengths = true, .offsets = true, .left = 3, .right = 0});
}

TEST(Attention, ChunksOfEverySizeAgreeWithTheFormula) {
  for (int64_t chunk : {1, 3, 4, 11, 12})
    expectFormula({.bias = true,
                   .mask = true,
                   .sink = true,
                   .lengths = true,
                   .offsets = true,
                   .left = 6,
                   .right = 0,
                   .softcap = 5,
                   .chunk = chunk});
}

TEST(Attention, NarrowAndWideElementTypes) {
  Form form{.bias = true, .sink = true, .lengths = true, .offsets = true, .right = 0};
  form.type = "f16";
  expectFormula(form, 1e-3, MOEC_F16);
  form.type = "bf16";
  expectFormula(form, 8e-3, MOEC_BF16);
  form.type = "f64";
  expectFormula(form, 1e-12, MOEC_F64);
}

TEST(Attention, RowsWithoutKeysAreZero) {
  Form form{.mask = true, .lengths = true, .chunk = 4};
  Program program(form.source());
  ASSERT_TRUE(program.valid());
  std::mt19937 random(1);
  std::vector<Array> inputs = randomInputs(random, form);
  for (int64_t j = 0; j < 11; ++j)
    inputs[3].at({0, 0, 2, j}) = 0;
  inputs[4].values[1] = 0;
  std::vector<Array> results = program.run(inputs);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_LT(difference(results[0], attention(form, inputs)), 2e-6);
  for (int64_t n = 0; n < 4; ++n)
    for (int64_t e = 0; e < 6; ++e) {
      EXPECT_EQ(results[0].at({0, 2, n, e}), 0);
      EXPECT_EQ(results[0].at({1, 0, n, e}), 0);
    }
}

TEST(Attention, NoKeysAtAll) {
  Form form{.sink = true};
  Program program(form.source());
  ASSERT_TRUE(program.valid());
  std::mt19937 random(1);
  std::vector<Array> results = program.run({randomArray(random, {1, 2, 4, 8}), zeros({1, 2, 0, 8}),
                                            zeros({1, 2, 0, 6}), randomArray(random, {4})});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_TRUE(identical(results[0], zeros({1, 2, 4, 6})));
}

TEST(Attention, PrefillAndDecodeAndPaddingAgreeBitForBit) {
  Form form{.sink = true, .lengths = true, .offsets = true, .left = 90, .right = 0};
  Program program(form.source());
  ASSERT_TRUE(program.valid());
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    int64_t tokens = 60 + random() % 90, capacity = tokens + random() % 100;
    Array q = randomArray(random, {1, tokens, 4, 8}), k = randomArray(random, {1, 2, tokens, 8});
    Array v = randomArray(random, {1, 2, tokens, 8}), sink = randomArray(random, {4});
    auto run = [&](Array q, Array k, Array v, int64_t length, int64_t offset) {
      return program.run({q, k, v, sink, array({1}, {double(length)}, MOEC_I64),
                          array({1}, {double(offset)}, MOEC_I64)},
                         1 + random() % 7)[0];
    };
    Array whole = run(q, k, v, tokens, 0);
    // A cache of some capacity, NaN where nothing is stored yet.
    auto padded = [&](const Array &a) {
      Array result = zeros({1, 2, capacity, 8});
      for (int64_t m = 0; m < 2; ++m)
        for (int64_t t = 0; t < capacity; ++t)
          for (int64_t d = 0; d < 8; ++d)
            result.at({0, m, t, d}) = t < tokens ? a.at({0, m, t, d}) : NAN;
      return result;
    };
    for (int64_t from = 0; from < tokens;) {
      int64_t to = std::min<int64_t>(tokens, from + 1 + random() % 40);
      Array part = run(slice(q, 1, from, to), padded(k), padded(v), to, from);
      EXPECT_TRUE(identical(part, slice(whole, 1, from, to))) << seed << ": " << from;
      Array last = run(slice(q, 1, to - 1, to), slice(k, 2, 0, to), slice(v, 2, 0, to), to, to - 1);
      EXPECT_TRUE(identical(last, slice(whole, 1, to - 1, to))) << seed << ": " << to;
      from = to;
    }
  }
}

TEST(Scores, EveryStage) {
  std::mt19937 random(13);
  Array q = randomArray(random, {2, 3, 4, 8}), k = randomArray(random, {2, 2, 5, 8});
  Array bias = randomArray(random, {1, 1, 3, 5});
  for (std::string stage : {"raw", "capped", "masked", "probabilities"}) {
    Program program(llvm::formatv(R"mlir(
      func.func @main(%q: tensor<?x?x?x?xf32>, %k: tensor<?x?x?x?xf32>, %bias: tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32> {{
        %x = attn.scores %q, %k bias(%bias : tensor<?x?x?x?xf32>)
             {{scale = 0.5 : f64, softcap = 2.0 : f64, right = 0, stage = #attn.stage<{0}>}
             : tensor<?x?x?x?xf32>, tensor<?x?x?x?xf32> -> tensor<?x?x?x?xf32>
        return %x : tensor<?x?x?x?xf32>
      })mlir",
                                  stage)
                        .str());
    ASSERT_TRUE(program.valid());
    std::vector<Array> results = program.run({q, k, bias});
    ASSERT_EQ(results.size(), 1u);
    Array expected = zeros({2, 4, 3, 5});
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t n = 0; n < 4; ++n)
        for (int64_t i = 0; i < 3; ++i) {
          double sum = 0;
          for (int64_t j = 0; j < 5; ++j) {
            double &x = expected.at({b, n, i, j});
            for (int64_t d = 0; d < 8; ++d)
              x += q.at({b, i, n, d}) * k.at({b, n / 2, j, d});
            x *= 0.5;
            if (stage == "raw")
              continue;
            x = 2 * std::tanh(x / 2);
            if (stage == "capped")
              continue;
            x = j > i ? -INFINITY : x + bias.at({0, 0, i, j});
            sum += std::exp(x);
          }
          for (int64_t j = 0; stage == "probabilities" && j < 5; ++j)
            expected.at({b, n, i, j}) = std::exp(expected.at({b, n, i, j})) / sum;
        }
    // Infinities have no difference.
    for (size_t at = 0; at < expected.values.size(); ++at)
      if (std::isinf(expected.values[at])) {
        EXPECT_EQ(results[0].values[at], expected.values[at]);
        results[0].values[at] = expected.values[at] = 0;
      }
    EXPECT_LT(difference(results[0], expected), 2e-6) << stage;
  }
}

//===----------------------------------------------------------------------===//
// cache_append
//===----------------------------------------------------------------------===//

TEST(CacheAppend, WritesBehindEachRowAndZeroesTheRest) {
  Program program(R"mlir(
    func.func @main(%past: tensor<?x2x?x3xf32>, %new: tensor<?x?x2x3xf32>, %n: tensor<?xi64>,
                    %size: tensor<?xi64>) -> tensor<?x2x?x3xf32> {
      %c0 = arith.constant 0 : index
      %b = tensor.dim %past, %c0 : tensor<?x2x?x3xf32>
      %t = tensor.dim %size, %c0 : tensor<?xi64>
      %dest = tensor.empty(%b, %t) : tensor<?x2x?x3xf32>
      %y = attn.cache_append %past, %new lengths(%n : tensor<?xi64>) outs(%dest : tensor<?x2x?x3xf32>)
           : tensor<?x2x?x3xf32>, tensor<?x?x2x3xf32> -> tensor<?x2x?x3xf32>
      return %y : tensor<?x2x?x3xf32>
    })mlir");
  ASSERT_TRUE(program.valid());
  std::mt19937 random(3);
  for (auto [rows, present] : {std::pair(5, 5), std::pair(5, 9), std::pair(0, 4)}) {
    Array past = randomArray(random, {3, 2, rows, 3}), update = randomArray(random, {3, 2, 2, 3});
    Array lengths = rows ? array({3}, {0, 3, 4}, MOEC_I64) : zeros({3}, MOEC_I64);
    std::vector<Array> results = program.run({past, update, lengths, zeros({present}, MOEC_I64)});
    ASSERT_EQ(results.size(), 1u);
    Array expected = zeros({3, 2, present, 3});
    for (int64_t b = 0; b < 3; ++b)
      for (int64_t m = 0; m < 2; ++m)
        for (int64_t t = 0; t < present; ++t)
          for (int64_t d = 0; d < 3; ++d) {
            int64_t row = t - lengths.values[b];
            expected.at({b, m, t, d}) = row >= 0 && row < 2 ? update.at({b, row, m, d})
                                        : t < rows          ? past.at({b, m, t, d})
                                                            : 0;
          }
    EXPECT_TRUE(identical(results[0], expected));
  }
}

//===----------------------------------------------------------------------===//
// rope
//===----------------------------------------------------------------------===//

std::string ropeSource(bool interleaved, bool positions, const char *type = "f32") {
  std::string cache = positions ? "tensor<?x?xf32>" : "tensor<?x?x?xf32>";
  return llvm::formatv(R"mlir(
    func.func @main(%x: tensor<?x?x?x?x{0}>, %cos: {1}, %sin: {1}{2}) -> tensor<?x?x?x?x{0}> {{
      %y = attn.rope{3} %x, %cos, %sin{4} : tensor<?x?x?x?x{0}>, {1}, {1} -> tensor<?x?x?x?x{0}>
      return %y : tensor<?x?x?x?x{0}>
    })mlir",
                       type, cache, positions ? ", %p: tensor<?x?xi64>" : "",
                       interleaved ? " interleaved" : "",
                       positions ? " positions(%p : tensor<?x?xi64>)" : "")
      .str();
}

TEST(Rope, RotatesPairsOfBothLayoutsAndLeavesTheRest) {
  for (bool interleaved : {false, true})
    for (bool positions : {false, true}) {
      Program program(ropeSource(interleaved, positions));
      ASSERT_TRUE(program.valid());
      std::mt19937 random(5);
      int64_t half = 3;
      Array x = randomArray(random, {2, 4, 3, 8});
      std::vector<int64_t> cache =
          positions ? std::vector<int64_t>{10, half} : std::vector<int64_t>{2, 4, half};
      Array cosine = randomArray(random, cache), sine = randomArray(random, cache);
      Array ids = randomIntegers(random, {2, 4}, 0, 9);
      std::vector<Array> inputs{x, cosine, sine};
      if (positions)
        inputs.push_back(ids);
      std::vector<Array> results = program.run(inputs);
      ASSERT_EQ(results.size(), 1u);
      Array expected = x;
      for (int64_t b = 0; b < 2; ++b)
        for (int64_t s = 0; s < 4; ++s)
          for (int64_t n = 0; n < 3; ++n)
            for (int64_t r = 0; r < half; ++r) {
              int64_t one = interleaved ? 2 * r : r, two = interleaved ? 2 * r + 1 : r + half;
              int64_t row = positions ? int64_t(ids.at({b, s})) : b * 4 + s;
              double c = cosine.values[row * half + r], d = sine.values[row * half + r];
              double first = x.at({b, s, n, one}), second = x.at({b, s, n, two});
              expected.at({b, s, n, one}) = first * c - second * d;
              expected.at({b, s, n, two}) = second * c + first * d;
            }
      EXPECT_LT(difference(results[0], expected), 1e-6);
    }
}

TEST(Rope, PositionOutsideTheCacheIsAnError) {
  Program program(ropeSource(false, true));
  ASSERT_TRUE(program.valid());
  std::mt19937 random(5);
  Array x = randomArray(random, {1, 1, 1, 4}), cache = randomArray(random, {10, 2});
  for (double position : {-1.0, 10.0})
    EXPECT_TRUE(program.run({x, cache, cache, array({1, 1}, {position}, MOEC_I64)}).empty());
  EXPECT_EQ(program.run({x, cache, cache, array({1, 1}, {9}, MOEC_I64)}).size(), 1u);
}

//===----------------------------------------------------------------------===//
// norms
//===----------------------------------------------------------------------===//

struct Moments {
  double mean = 0, variance = 0, meanSquare = 0;
  Moments(const Array &x, int64_t row, int64_t width) {
    for (int64_t i = 0; i < width; ++i)
      mean += x.values[row * width + i] / width;
    for (int64_t i = 0; i < width; ++i) {
      double value = x.values[row * width + i];
      variance += (value - mean) * (value - mean) / width;
      meanSquare += value * value / width;
    }
  }
};

TEST(RmsNorm, NormalisesTrailingDimensions) {
  for (const char *type : {"f32", "f16", "f64"}) {
    Program program(llvm::formatv(R"mlir(
      func.func @main(%x: tensor<?x?x?x{0}>, %scale: tensor<?x?x{0}>) -> tensor<?x?x?x{0}> {{
        %y = attn.rms_norm %x, %scale {{axis = 1, epsilon = 0.25 : f64}
             : tensor<?x?x?x{0}>, tensor<?x?x{0}> -> tensor<?x?x?x{0}>
        return %y : tensor<?x?x?x{0}>
      })mlir",
                                  type)
                        .str());
    ASSERT_TRUE(program.valid());
    moec_element_type element = type[1] == '3' ? MOEC_F32 : type[1] == '1' ? MOEC_F16 : MOEC_F64;
    std::mt19937 random(11);
    Array x = randomArray(random, {5, 3, 4}, element), scale = randomArray(random, {3, 4}, element);
    std::vector<Array> results = program.run({x, scale});
    ASSERT_EQ(results.size(), 1u);
    Array expected = zeros({5, 3, 4}, element);
    for (int64_t row = 0; row < 5; ++row)
      for (int64_t i = 0; i < 12; ++i)
        expected.values[row * 12 + i] = x.values[row * 12 + i] * scale.values[i] /
                                        std::sqrt(Moments(x, row, 12).meanSquare + 0.25);
    EXPECT_LT(difference(results[0], expected), element == MOEC_F32   ? 1e-6
                                                : element == MOEC_F16 ? 1e-3
                                                                      : 1e-13);
  }
}

TEST(LayerNorm, GivesItsStatistics) {
  Program program(R"mlir(
    func.func @main(%x: tensor<?x?x?xf32>, %scale: tensor<?xf32>, %bias: tensor<?xf32>)
        -> (tensor<?x?x?xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>) {
      %y, %mean, %inverse = attn.layer_norm %x, %scale bias(%bias : tensor<?xf32>) {axis = 2, epsilon = 0.125 : f64}
           : tensor<?x?x?xf32>, tensor<?xf32> -> tensor<?x?x?xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>
      return %y, %mean, %inverse : tensor<?x?x?xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>
    })mlir");
  ASSERT_TRUE(program.valid());
  std::mt19937 random(11);
  Array x = randomArray(random, {2, 3, 16}), scale = randomArray(random, {16}),
        bias = randomArray(random, {16});
  std::vector<Array> results = program.run({x, scale, bias});
  ASSERT_EQ(results.size(), 3u);
  Array y = zeros({2, 3, 16}), mean = zeros({2, 3, 1}), inverse = zeros({2, 3, 1});
  for (int64_t row = 0; row < 6; ++row) {
    Moments moments(x, row, 16);
    mean.values[row] = moments.mean;
    inverse.values[row] = 1 / std::sqrt(moments.variance + 0.125);
    for (int64_t i = 0; i < 16; ++i)
      y.values[row * 16 + i] =
          (x.values[row * 16 + i] - moments.mean) * inverse.values[row] * scale.values[i] +
          bias.values[i];
  }
  EXPECT_LT(difference(results[0], y), 1e-6);
  EXPECT_LT(difference(results[1], mean), 1e-6);
  EXPECT_LT(difference(results[2], inverse), 1e-6);
}

} // namespace
