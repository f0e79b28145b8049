// Operators of ONNX give what their definition says where the ONNX node tests
// do not look: com.microsoft's, versions that differ, and corners.
#include "test/unit/dialects/program.h"

#include "gtest/gtest.h"
#include <cmath>
#include <type_traits>

namespace {

using namespace moec::test;

/// One node: its inputs, and the type of its output.
struct Case {
  std::string node, version, parameters;
  std::vector<std::string> inputs;
  std::string output;
  std::string domain = {};
};

std::string sourceOf(const Case &node) {
  std::string arguments, operands, types;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    std::string comma = i ? ", " : "", name = "%a" + std::to_string(i);
    arguments += comma + name + ": " + node.inputs[i];
    operands += comma + name;
    types += comma + node.inputs[i];
  }
  std::string domain = node.domain.empty() ? "" : "domain \"" + node.domain + "\" ";
  return "func.func @main(" + arguments + ") -> " + node.output + " {\n  %y = onnx.node " + domain +
         "\"" + node.node + "\" version " + node.version + " parameters {" + node.parameters +
         "} (" + operands + ") : (" + types + ") -> " + node.output +
         "\n  return %y : " + node.output + "\n}\n";
}

/// The output, or an array without a shape after a failed check.
Array run(const Case &node, const std::vector<Array> &inputs) {
  Program program(sourceOf(node));
  EXPECT_TRUE(program.valid()) << sourceOf(node);
  if (!program.valid())
    return {};
  std::vector<Array> outputs = program.run(inputs);
  return outputs.empty() ? Array() : outputs.front();
}

void expectNear(const Array &actual, const Array &expected) {
  EXPECT_EQ(actual.shape, expected.shape);
  if (actual.shape == expected.shape)
    EXPECT_LT(difference(actual, expected), 1e-6);
}

TEST(Softplus, DoesNotOverflow) {
  Array y =
      run({"Softplus", "1", "", {"tensor<3xf32>"}, "tensor<3xf32>"}, {array({3}, {200, -200, 0})});
  expectNear(y, array({3}, {200, 0, std::log(2)}));
}

TEST(Softmax, IsOfMatricesBeforeVersion13) {
  Array x = array({1, 2, 2}, {1, 1, 1, 1});
  expectNear(run({"Softmax", "11", "", {"tensor<1x2x2xf32>"}, "tensor<1x2x2xf32>"}, {x}),
             array({1, 2, 2}, {.25, .25, .25, .25}));
  expectNear(run({"Softmax", "13", "", {"tensor<1x2x2xf32>"}, "tensor<1x2x2xf32>"}, {x}),
             array({1, 2, 2}, {.5, .5, .5, .5}));
}

TEST(GroupNormalization, ScalesGroupsBeforeVersion21AndChannelsSince) {
  Array x = array({1, 4}, {-1, 1, -3, 3});
  auto node = [](const char *version, const char *scale) {
    return Case{"GroupNormalization",
                version,
                "num_groups = 2 : i64, epsilon = 0.0 : f32",
                {"tensor<1x4xf32>", scale, scale},
                "tensor<1x4xf32>"};
  };
  expectNear(run(node("18", "tensor<2xf32>"), {x, array({2}, {2, 3}), array({2}, {0, 10})}),
             array({1, 4}, {-2, 2, 7, 13}));
  expectNear(
      run(node("21", "tensor<4xf32>"), {x, array({4}, {1, 2, 3, 4}), array({4}, {0, 0, 0, 10})}),
      array({1, 4}, {-1, 2, -3, 14}));
}

TEST(Dropout, RefusesToTrainAtRunTime) {
  Case node{"Dropout", "13", "", {"tensor<2xf32>", "tensor<f32>", "tensor<i1>"}, "tensor<2xf32>"};
  Array x = array({2}, {1, 2}), half = array({}, {.5}), none = array({}, {0});
  Array yes = array({}, {1}, MOEC_BOOL), no = array({}, {0}, MOEC_BOOL);
  expectNear(run(node, {x, half, no}), x);
  expectNear(run(node, {x, none, yes}), x);
  EXPECT_TRUE(run(node, {x, half, yes}).shape.empty());
}

/// base^exponent mod 1000003, which a double holds whatever the power is.
Array powerMod(const char *element, const Array &base, const Array &exponent) {
  std::string type = "tensor<?x" + std::string(element) + ">";
  std::string source =
      "func.func @main(%x: " + type + ", %y: " + type + ") -> " + type +
      " {\n  %p = onnx.node \"Pow\" version 15 (%x, %y) : (" + type + ", " + type + ") -> " + type +
      "\n  %m = onnx.constant dense<1000003> : tensor<1x" + element +
      ">\n  %z = onnx.node \"Mod\" version 13 parameters {fmod = 1 : i64} " + "(%p, %m) : (" +
      type + ", tensor<1x" + element + ">) -> " + type + "\n  return %z : " + type + "\n}\n";
  Program program(source);
  EXPECT_TRUE(program.valid()) << source;
  std::vector<Array> outputs =
      program.valid() ? program.run({base, exponent}) : std::vector<Array>();
  return outputs.empty() ? Array() : outputs.front();
}

template <typename Integer> double wrappedPowerMod(Integer base, int exponent) {
  std::make_unsigned_t<Integer> power = 1;
  for (int i = 0; i < exponent; ++i)
    power *= static_cast<std::make_unsigned_t<Integer>>(base);
  return static_cast<double>(static_cast<Integer>(power) % 1000003);
}

TEST(Pow, OfIntegersIsExactAndWraps) {
  // 3^39 has 62 bits; 3^41 and 7^40 have more than 64.
  expectNear(powerMod("si64", array({5}, {3, 3, 7, -3, 10}, MOEC_I64),
                      array({5}, {39, 41, 40, 37, 0}, MOEC_I64)),
             array({5},
                   {wrappedPowerMod<int64_t>(3, 39), wrappedPowerMod<int64_t>(3, 41),
                    wrappedPowerMod<int64_t>(7, 40), wrappedPowerMod<int64_t>(-3, 37), 1},
                   MOEC_I64));
  expectNear(
      powerMod("si32", array({2}, {3, -5}, MOEC_I32), array({2}, {25, 13}, MOEC_I32)),
      array({2}, {wrappedPowerMod<int32_t>(3, 25), wrappedPowerMod<int32_t>(-5, 13)}, MOEC_I32));
}

TEST(Pow, OfIntegersToNegativePowersIsTruncated) {
  expectNear(powerMod("si64", array({6}, {1, -1, -1, 2, -2, int64_t(1) << 33}, MOEC_I64),
                      array({6}, {-5, -5, -4, -1, -3, -2}, MOEC_I64)),
             array({6}, {1, -1, 1, 0, 0, 0}, MOEC_I64));
  EXPECT_TRUE(
      powerMod("si64", array({1}, {0}, MOEC_I64), array({1}, {-1}, MOEC_I64)).values.empty());
}

TEST(Range, OfNarrowFloatsIsComputedInF32SinceVersion27) {
  Array y = run({"Range", "27", "", {"tensor<f16>", "tensor<f16>", "tensor<f16>"}, "tensor<?xf16>"},
                {array({}, {0}, MOEC_F16), array({}, {300}, MOEC_F16), array({}, {.1}, MOEC_F16)});
  ASSERT_GT(y.count(), 2049);
  // f16 holds neither 2049 nor its product.
  EXPECT_EQ(y.values[2049], 204.875);
}

TEST(Split, CountsOutputsThatNobodyUses) {
  std::string type = "tensor<7xf32>", part = "tensor<3xf32>";
  std::string source = "func.func @main(%x: " + type + ") -> " + part +
                       " {\n  %y:2 = onnx.node \"Split\" version 18 parameters " +
                       "{num_outputs = 3 : i64} (%x) : (" + type + ") -> (" + part + ", " + part +
                       ")\n  return %y#1 : " + part + "\n}\n";
  Program program(source);
  ASSERT_TRUE(program.valid()) << source;
  expectNear(program.run({array({7}, {0, 1, 2, 3, 4, 5, 6})}).at(0), array({3}, {3, 4, 5}));
}

TEST(QuantizeLinear, DividesInThePrecisionThatIsStated) {
  auto quantised = [](const char *precision) {
    Array y = run({"QuantizeLinear",
                   "25",
                   precision,
                   {"tensor<1xf32>", "tensor<f32>", "tensor<ui8>"},
                   "tensor<1xui8>"},
                  {array({1}, {100.6}), array({}, {1}), array({}, {0}, MOEC_U8)});
    return y.values.empty() ? -1 : y.values.front();
  };
  EXPECT_EQ(quantised(""), 101);
  // bf16 rounds it to 100.5, which rounds to the even integer.
  EXPECT_EQ(quantised("precision = 16 : i64"), 100);
}

class SliceCorners : public testing::TestWithParam<bool> {
protected:
  /// Slices 0, 1, ... along the first axis; the parameter says whether the step
  /// is known to the compiler.
  Array slice(int64_t size, int64_t start, int64_t end, int64_t step) {
    std::string type = "tensor<?xf32>", one = "tensor<1xsi64>";
    auto constant = [](int64_t value) {
      return "onnx.constant dense<" + std::to_string(value) + "> : tensor<1xsi64>";
    };
    bool isKnown = GetParam();
    std::string source = "func.func @main(%x: " + type + ", %s: " + one + ") -> " + type +
                         " {\n  %start = " + constant(start) + "\n  %end = " + constant(end) +
                         "\n  %axis = " + constant(0) + "\n  %step = " + constant(step) +
                         "\n  %y = onnx.node \"Slice\" version 13 (%x, %start, %end, %axis, " +
                         (isKnown ? "%step" : "%s") + ") : (" + type + ", " + one + ", " + one +
                         ", " + one + ", " + one + ") -> " + type + "\n  return %y : " + type +
                         "\n}\n";
    Array x = zeros({size});
    for (int64_t i = 0; i < size; ++i)
      x.values[i] = i;
    Program program(source);
    EXPECT_TRUE(program.valid()) << source;
    std::vector<Array> outputs = program.valid()
                                     ? program.run({x, array({1}, {double(step)}, MOEC_I64)})
                                     : std::vector<Array>();
    return outputs.empty() ? Array() : outputs.front();
  }
};

TEST_P(SliceCorners, AreClamped) {
  constexpr int64_t kEnd = int64_t(1) << 40;
  expectNear(slice(5, 1, kEnd, 2), array({2}, {1, 3}));
  expectNear(slice(5, -2, kEnd, 1), array({2}, {3, 4}));
  expectNear(slice(5, 4, -kEnd, -2), array({3}, {4, 2, 0}));
  expectNear(slice(5, kEnd, -kEnd, -3), array({2}, {4, 1}));
  // A start before the first element is the first element.
  expectNear(slice(5, -9, -kEnd, -1), array({1}, {0}));
  EXPECT_EQ(slice(5, 4, 1, 1).shape, std::vector<int64_t>{0});
  EXPECT_EQ(slice(0, -1, -kEnd, -1).shape, std::vector<int64_t>{0});
}

INSTANTIATE_TEST_SUITE_P(Steps, SliceCorners, testing::Bool());

Array einsum(const std::string &equation, std::vector<std::string> types, const std::string &output,
             const std::vector<Array> &inputs) {
  return run({"Einsum", "12", "equation = \"" + equation + "\"", std::move(types), output}, inputs);
}

TEST(Einsum, ContractsThreeOperands) {
  Array a = array({2, 2}, {1, 2, 3, 4}), b = array({2, 2}, {5, 6, 7, 8}), c = array({2}, {1, -1});
  // (a b) c = [19 22; 43 50] [1 -1]
  expectNear(einsum("ij,jk,k->i", {"tensor<2x2xf32>", "tensor<2x2xf32>", "tensor<2xf32>"},
                    "tensor<2xf32>", {a, b, c}),
             array({2}, {-3, -7}));
}

TEST(Einsum, WithoutAnOutputKeepsWhatOccursOnceInTheOrderOfTheAlphabet) {
  Array a = array({2, 3}, {1, 2, 3, 4, 5, 6});
  expectNear(einsum("ba", {"tensor<2x3xf32>"}, "tensor<3x2xf32>", {a}),
             array({3, 2}, {1, 4, 2, 5, 3, 6}));
}

TEST(Einsum, BroadcastsTheEllipsis) {
  Array a = array({1, 2, 1}, {1, 2}), b = array({3, 1, 2}, {1, 2, 3, 4, 5, 6});
  expectNear(einsum("...ij,...jk->...ki", {"tensor<1x2x1xf32>", "tensor<3x1x2xf32>"},
                    "tensor<3x2x2xf32>", {a, b}),
             array({3, 2, 2}, {1, 2, 2, 4, 3, 6, 4, 8, 5, 10, 6, 12}));
}

TEST(Einsum, ChecksSizesAtRunTime) {
  EXPECT_TRUE(einsum("i,i->", {"tensor<?xf32>", "tensor<?xf32>"}, "tensor<f32>",
                     {array({2}, {1, 2}), array({3}, {1, 2, 3})})
                  .values.empty());
}

Case microsoft(std::string node, std::string parameters, std::vector<std::string> inputs,
               std::string output) {
  return {node, "1", parameters, inputs, output, "com.microsoft"};
}

TEST(FusedMatMul, TransposesAndScales) {
  Array a = array({2, 2}, {1, 2, 3, 4}), b = array({2, 2}, {5, 6, 7, 8});
  expectNear(run(microsoft("FusedMatMul", "transA = 1 : i64, alpha = 0.5 : f32",
                           {"tensor<2x2xf32>", "tensor<2x2xf32>"}, "tensor<2x2xf32>"),
                 {a, b}),
             array({2, 2}, {13, 15, 19, 22}));
}

TEST(FusedGemm, ActivatesWhatGemmGives) {
  Array a = array({2, 2}, {1, 2, 3, 4}), b = array({2, 2}, {5, -6, 7, -8}), c = array({2}, {1, -1});
  auto fused = [&](const std::string &activation) {
    return run(microsoft("FusedGemm",
                         "transB = 1 : i64, alpha = 2.0 : f32, beta = 3.0 : f32, " + activation,
                         {"tensor<2x2xf32>", "tensor<2x2xf32>", "tensor<2xf32>"},
                         "tensor<2x2xf32>"),
               {a, b, c});
  };
  // 2 a b^T + 3 c = [-11 -21; -15 -25]
  expectNear(fused("activation = \"Relu\""), zeros({2, 2}));
  expectNear(fused("activation = \"LeakyRelu\", activation_alpha = 0.5 : f32"),
             array({2, 2}, {-5.5, -10.5, -7.5, -12.5}));
  expectNear(fused("activation = \"HardSigmoid\", activation_alpha = 0.01 : f32, "
                   "activation_beta = 0.5 : f32"),
             array({2, 2}, {.39, .29, .35, .25}));
  expectNear(fused("activation = \"Elu\""),
             array({2, 2}, {std::expm1(-11), std::expm1(-21), std::expm1(-15), std::expm1(-25)}));
}

TEST(GatedAdd, RoundsTheProductToTheTypeOfTheSum) {
  std::string rows = "tensor<2x2xbf16>", gate = "tensor<2x1xbf16>";
  // 1.0078125^2 is 1.015625 in bf16, and a little more before it is rounded.
  Array y = run(microsoft("GatedAdd", "", {rows, rows, gate}, rows),
                {array({2, 2}, {1, -1.015625, 3, 4}, MOEC_BF16),
                 array({2, 2}, {2, 1.0078125, 5, 6}, MOEC_BF16),
                 array({2, 1}, {1.0078125, -2}, MOEC_BF16)});
  expectNear(y, array({2, 2}, {3.015625, 0, -7, -8}, MOEC_BF16));
}

TEST(MicrosoftGelus, DifferInTheirFunction) {
  Array x = array({3}, {-1, .5, 2}), bias = array({3}, {.5, .5, -1});
  Array exact = zeros({3}), fast = zeros({3}), quick = zeros({3});
  for (int i = 0; i < 3; ++i) {
    double sum = x.values[i] + bias.values[i];
    exact.values[i] = sum / 2 * (1 + std::erf(sum / std::sqrt(2)));
    fast.values[i] =
        sum / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (sum + 0.044715 * sum * sum * sum)));
    quick.values[i] = x.values[i] / (1 + std::exp(-1.702 * x.values[i]));
  }
  std::string type = "tensor<3xf32>";
  expectNear(run(microsoft("BiasGelu", "", {type, type}, type), {x, bias}), exact);
  expectNear(run(microsoft("FastGelu", "", {type, type}, type), {x, bias}), fast);
  expectNear(run(microsoft("QuickGelu", "", {type}, type), {x}), quick);
}

TEST(GatherBlockQuantized, TakesLowNibblesFirstAndCentresBytesAtEight) {
  // Two rows of 32 numbers in 16 bytes, in blocks of 16.
  Array data = zeros({2, 16}, MOEC_U8), expected = zeros({2, 32});
  Array scales = array({2, 2}, {1, 2, .5, 4}), zeros4 = array({2, 1}, {0x21, 0x43}, MOEC_U8);
  auto nibble = [](int row, int column) { return (3 * row + 5 * column) % 16; };
  for (int row = 0; row < 2; ++row)
    for (int column = 0; column < 32; column += 2)
      data.at({row, column / 2}) = nibble(row, column) + 16 * nibble(row, column + 1);
  Array order = array({2}, {-1, 0}, MOEC_I64);
  auto fill = [&](auto zeroOf) {
    for (int i = 0; i < 2; ++i)
      for (int column = 0; column < 32; ++column) {
        int row = 1 - i, block = column / 16;
        expected.at({i, column}) =
            (nibble(row, column) - zeroOf(row, block)) * scales.at({row, block});
      }
  };
  std::vector<std::string> types{"tensor<2x16xui8>", "tensor<2xsi64>", "tensor<2x2xf32>"};
  std::string parameters = "block_size = 16 : i64";
  fill([](int, int) { return 8; });
  expectNear(run(microsoft("GatherBlockQuantized", parameters, types, "tensor<2x32xf32>"),
                 {data, order, scales}),
             expected);
  types.push_back("tensor<2x1xui8>");
  fill([](int row, int block) { return 1 + 2 * row + block; });
  expectNear(run(microsoft("GatherBlockQuantized", parameters, types, "tensor<2x32xf32>"),
                 {data, order, scales, zeros4}),
             expected);
}

//===--- Weights that operations on weights alone make -----------------------===//

std::string constant(const Array &x, const std::string &element) {
  return "onnx.constant " + denseOf(x, element) + "\n";
}

/// A product with a DequantizeLinear of constants; `zeros` may be empty.
struct DequantizedProduct {
  std::string element;
  Array q, scales, zeros = {};
  int axis = 1, block = 0;
  bool transposed = false;

  Array run(const Array &x) const {
    std::string in = "tensor<?x" + std::to_string(x.shape[1]) + "xf32>", out = "tensor<?x?xf32>";
    std::string types = typeOf(q, element) + ", " + typeOf(scales, "f32");
    std::string source = "func.func @main(%x: " + in + ") -> " + out +
                         " {\n  %q = " + constant(q, element) + "  %s = " + constant(scales, "f32");
    if (!zeros.shape.empty()) {
      source += "  %z = " + constant(zeros, element);
      types += ", " + typeOf(zeros, element);
    }
    source += "  %w = onnx.node \"DequantizeLinear\" version 21 parameters {axis = " +
              std::to_string(axis) + " : i64, block_size = " + std::to_string(block) +
              " : i64} (%q, %s" + (zeros.shape.empty() ? "" : ", %z") + ") : (" + types +
              ") -> !onnx.unknown\n  %y = onnx.node \"Gemm\" version 13 parameters {transB = " +
              std::to_string(transposed) + " : i64} (%x, %w) : (" + in + ", !onnx.unknown) -> " +
              out + "\n  return %y : " + out + "\n}\n";
    Program program(source);
    EXPECT_TRUE(program.valid()) << source;
    std::vector<Array> outputs = program.valid() ? program.run({x}) : std::vector<Array>();
    return outputs.empty() ? Array() : outputs.front();
  }

  Array expected(const Array &x) const {
    int64_t depth = x.shape[1], columns = q.shape[transposed ? 0 : 1];
    auto at = [&](const Array &parameter, int64_t row, int64_t column) {
      int64_t index[] = {row, column};
      if (parameter.shape.empty())
        return parameter.values[0];
      if (parameter.shape.size() == 1)
        return parameter.values[index[axis]];
      index[axis] /= block;
      return parameter.at({index[0], index[1]});
    };
    Array y = moec::test::zeros({x.shape[0], columns});
    for (int64_t i = 0; i < x.shape[0]; ++i)
      for (int64_t n = 0; n < columns; ++n)
        for (int64_t k = 0; k < depth; ++k) {
          int64_t row = transposed ? n : k, column = transposed ? k : n;
          double zero = zeros.values.empty() ? 0 : at(zeros, row, column);
          y.at({i, n}) += x.at({i, k}) * (q.at({row, column}) - zero) * at(scales, row, column);
        }
    return y;
  }
};

/// Scales that are multiples of 1/64, which text holds exactly.
Array roundScales(std::mt19937 &random, std::vector<int64_t> shape) {
  Array scales = randomIntegers(random, std::move(shape), 1, 64, MOEC_F32);
  for (double &value : scales.values)
    value /= 64;
  return scales;
}

TEST(DequantizeLinear, OfWeightsOfAProduct) {
  std::mt19937 random(1);
  // 70 columns do not fill the panels of a kernel. Sums of such rows are exact.
  Array x = randomIntegers(random, {5, 64}, -4, 4, MOEC_F32);
  auto integers = [&](std::vector<int64_t> shape, int low, int high) {
    return randomIntegers(random, std::move(shape), low, high, MOEC_F32);
  };
  DequantizedProduct cases[] = {
      {"si8", integers({64, 70}, -128, 127), roundScales(random, {})},
      {"si8", integers({64, 70}, -128, 127), roundScales(random, {70})},
      {"si8", integers({64, 70}, -128, 127), roundScales(random, {70}), integers({70}, -9, 9)},
      {"ui8", integers({64, 70}, 0, 255), roundScales(random, {70})},
      {"ui8", integers({64, 70}, 0, 255), roundScales(random, {70}), integers({70}, 100, 140)},
      {"si4", integers({64, 70}, -8, 7), roundScales(random, {4, 70}), {}, 0, 16},
      {"ui4", integers({64, 70}, 0, 15), roundScales(random, {2, 70}), integers({2, 70}, 0, 15), 0,
       32},
      {"ui4", integers({64, 70}, 0, 15), roundScales(random, {2, 70}), {}, 0, 32},
      {"si4", integers({70, 64}, -8, 7), roundScales(random, {70, 2}), integers({70, 2}, -8, 7), 1,
       32, true},
      {"si8", integers({70, 64}, -128, 127), roundScales(random, {70}), {}, 0, 0, true},
      // A scale for each row of the product is no block: it has no kernel.
      {"si8", integers({64, 70}, -128, 127), roundScales(random, {64}), {}, 0},
  };
  for (const DequantizedProduct &product : cases) {
    SCOPED_TRACE(product.element + " axis " + std::to_string(product.axis) + " block " +
                 std::to_string(product.block));
    EXPECT_TRUE(identical(product.run(x), product.expected(x)));
  }
}

TEST(MoE, OfExpertsThatAreConcatenatedEqualsThatOfOneTensor) {
  std::mt19937 random(2);
  Array x = randomArray(random, {5, 16}), logits = randomArray(random, {5, 3});
  std::vector<Array> in, out;
  auto some = [&](std::vector<int64_t> shape) {
    Array values = randomIntegers(random, std::move(shape), -64, 64, MOEC_F32);
    for (double &value : values.values)
      value /= 64;
    return values;
  };
  for (int expert = 0; expert < 3; ++expert) {
    in.push_back(some({8, 16}));
    out.push_back(some({16, 8}));
  }
  auto whole = [](const std::vector<Array> &parts) {
    Array all = zeros({3, parts[0].shape[0], parts[0].shape[1]});
    all.values.clear();
    for (const Array &part : parts)
      all.values.insert(all.values.end(), part.values.begin(), part.values.end());
    return all;
  };
  auto run = [&](bool isJoined) {
    std::string source = "func.func @main(%x: tensor<?x16xf32>, %l: tensor<?x3xf32>) -> "
                         "tensor<?x16xf32> {\n  %axes = onnx.constant dense<0> : tensor<1xsi64>\n";
    auto matrices = [&](const std::string &name, const std::vector<Array> &parts) {
      if (!isJoined) {
        source += "  %" + name + " = " + constant(whole(parts), "f32");
        return typeOf(whole(parts), "f32");
      }
      std::string list, types;
      for (size_t i = 0; i < parts.size(); ++i) {
        std::string part = "%" + name + std::to_string(i), type = typeOf(parts[i], "f32");
        source += "  " + part + " = " + constant(parts[i], "f32") + "  " + part +
                  "u = onnx.node \"Unsqueeze\" version 13 (" + part + ", %axes) : (" + type +
                  ", tensor<1xsi64>) -> !onnx.unknown\n";
        list += (i ? ", " : "") + part + "u";
        types += std::string(i ? ", " : "") + "!onnx.unknown";
      }
      source += "  %" + name + " = onnx.node \"Concat\" version 13 parameters {axis = 0 : i64} (" +
                list + ") : (" + types + ") -> !onnx.unknown\n";
      return std::string("!onnx.unknown");
    };
    std::string first = matrices("in", in), second = matrices("out", out);
    source += "  %none = onnx.absent : none\n  %y = onnx.node domain \"com.microsoft\" \"MoE\" "
              "version 1 parameters {k = 2 : i64, activation_type = \"silu\"} "
              "(%x, %l, %in, %none, %out) : (tensor<?x16xf32>, tensor<?x3xf32>, " +
              first + ", none, " + second +
              ") -> tensor<?x16xf32>\n  return %y : tensor<?x16xf32>\n}\n";
    Program program(source);
    EXPECT_TRUE(program.valid()) << source;
    return program.valid() ? program.run({x, logits}).at(0) : Array();
  };
  Array joined = run(true);
  EXPECT_EQ(joined.count(), 5 * 16);
  EXPECT_TRUE(identical(joined, run(false)));
}

TEST(Reductions, OverAxesThatOnlyTheDataTells) {
  Array x = array({2, 3}, {1, 2, 3, 4, 5, 6});
  Case node{"ReduceSum",
            "13",
            "keepdims = 0 : i64",
            {"tensor<?x?xf32>", "tensor<?xsi64>"},
            "tensor<?xf32>"};
  expectNear(run(node, {x, array({1}, {-1}, MOEC_I64)}), array({2}, {6, 15}));
  expectNear(run(node, {x, array({1}, {0}, MOEC_I64)}), array({3}, {5, 7, 9}));
  // Two axes leave no dimension, but the result has one.
  EXPECT_TRUE(run(node, {x, array({2}, {0, 1}, MOEC_I64)}).values.empty());
}

} // namespace
