// The decompositions of the moe dialect against formulas in double.
#include "test/unit/dialects/program.h"

#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace moec::test;

namespace {

//===----------------------------------------------------------------------===//
// route
//===----------------------------------------------------------------------===//

/// #moe.router, as text and as a formula.
struct Router {
  int64_t topK = 2;
  std::string score = "softmax", normalize = "keep";
  int64_t groups = 1, kept = 1;
  bool top2 = false, maskedZero = false, higher = false, bias = false, values = false;
  double epsilon = 0, scale = 1, minWeight = -INFINITY;

  std::string source() const {
    std::string attribute =
        llvm::formatv("top_k = {0}, score = {1}, normalize = {2}, groups = {3}, kept_groups = {4}, "
                      "group_score = {5}, masked = {6}, ties = {7}, epsilon = {8:e8}, "
                      "scale = {9:e8}",
                      topK, score, normalize, groups, kept, top2 ? "top2_sum" : "max",
                      maskedZero ? "zero" : "neg_inf", higher ? "higher" : "lower", epsilon, scale)
            .str();
    if (minWeight != -INFINITY)
      attribute += llvm::formatv(", min_weight = {0:e8}", minWeight).str();
    return llvm::formatv(R"mlir(
      func.func @main(%l: tensor<?x16xf32>{0}) -> (tensor<?x{1}xi32>, tensor<?x{1}xf32>) {{
        %ids, %w = moe.route %l{2} {{router = #moe.router<{3}>}
             : tensor<?x16xf32> -> tensor<?x{1}xi32>, tensor<?x{1}xf32>
        return %ids, %w : tensor<?x{1}xi32>, tensor<?x{1}xf32>
      })mlir",
                         bias     ? ", %b: tensor<16xf32>"
                         : values ? ", %v: tensor<?x16xf32>"
                                  : "",
                         topK,
                         bias     ? " selection_bias(%b : tensor<16xf32>)"
                         : values ? " values(%v : tensor<?x16xf32>)"
                                  : "",
                         attribute)
        .str();
  }

  /// Columns by descending value, ties as asked.
  std::vector<int64_t> order(const std::vector<double> &x) const {
    std::vector<int64_t> columns(x.size());
    std::iota(columns.begin(), columns.end(), 0);
    if (higher)
      std::reverse(columns.begin(), columns.end());
    std::stable_sort(columns.begin(), columns.end(), [&](int64_t i, int64_t j) {
      return x[i] > x[j] || (std::isnan(x[j]) && !std::isnan(x[i]));
    });
    return columns;
  }

  static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
  static std::vector<double> softmax(std::vector<double> x) {
    double top = *std::max_element(x.begin(), x.end()), sum = 0;
    for (double &value : x)
      sum += value = std::exp(value - top);
    for (double &value : x)
      value /= sum;
    return x;
  }

  std::vector<double> choices(const std::vector<double> &scores, const Array *biases) const {
    std::vector<double> choice = scores;
    for (size_t e = 0; bias && e < choice.size(); ++e)
      choice[e] += biases->values[e];
    if (groups == 1)
      return choice;
    size_t members = choice.size() / groups;
    std::vector<double> groupScores;
    for (int64_t g = 0; g < groups; ++g) {
      std::vector<double> group(choice.begin() + g * members, choice.begin() + (g + 1) * members);
      std::sort(group.rbegin(), group.rend());
      groupScores.push_back(top2 ? group[0] + group[1] : group[0]);
    }
    std::vector<int64_t> best = order(groupScores);
    for (int64_t g = kept; g < groups; ++g)
      for (size_t e = 0; e < members; ++e)
        choice[best[g] * members + e] = maskedZero ? 0 : -INFINITY;
    return choice;
  }

  double mixerWeight(const std::vector<double> &x, const std::vector<int64_t> &order,
                     int64_t k) const {
    double top = x[order[k]], sum = 0;
    for (size_t place = k; place < order.size(); ++place) {
      double value = x[order[place]];
      if (!((top - value) / std::max(std::abs(value), top) > 0.02))
        sum += std::exp(value - top);
    }
    return 1 / sum;
  }

  /// The ids and weights of one token.
  std::pair<std::vector<int64_t>, std::vector<double>>
  route(std::vector<double> x, const Array *extra, int64_t token) const {
    std::vector<double> scores = x;
    if (score == "softmax")
      scores = softmax(x);
    else if (score == "sigmoid")
      std::transform(x.begin(), x.end(), scores.begin(), sigmoid);
    std::vector<int64_t> ids = order(choices(scores, extra));
    std::vector<double> weights;
    for (int64_t k = 0; k < topK; ++k)
      weights.push_back(score == "sparse_mixer" ? mixerWeight(x, ids, k)
                        : values                ? extra->at({token, ids[k]})
                                                : scores[ids[k]]);
    ids.resize(topK);
    double sum = std::accumulate(weights.begin(), weights.end(), 0.0) + epsilon;
    if (normalize == "softmax")
      weights = softmax(weights);
    for (double &weight : weights) {
      weight = normalize == "sum"       ? weight / sum
               : normalize == "sigmoid" ? sigmoid(weight)
                                        : weight;
      weight *= scale;
      weight = weight > minWeight ? weight : 0;
    }
    return {ids, weights};
  }
};

void expectRoutes(const Router &router, const Array &logits, const Array &extra = {},
                  double threshold = 1e-6) {
  Program program(router.source());
  ASSERT_TRUE(program.valid()) << router.source();
  std::vector<Array> inputs{logits};
  if (router.bias || router.values)
    inputs.push_back(extra);
  std::vector<Array> results = program.run(inputs);
  ASSERT_EQ(results.size(), 2u);
  int64_t tokens = logits.shape[0];
  Array ids = zeros({tokens, router.topK}, MOEC_I32), weights = zeros({tokens, router.topK});
  for (int64_t t = 0; t < tokens; ++t) {
    auto [id, weight] = router.route(
        {logits.values.begin() + t * 16, logits.values.begin() + (t + 1) * 16}, &extra, t);
    for (int64_t k = 0; k < router.topK; ++k) {
      ids.at({t, k}) = id[k];
      weights.at({t, k}) = weight[k];
    }
  }
  EXPECT_TRUE(identical(results[0], ids));
  EXPECT_LT(difference(results[1], weights), threshold);
}

Array logits(unsigned seed = 1, double deviation = 2) {
  std::mt19937 random(seed);
  return randomArray(random, {37, 16}, MOEC_F32, deviation);
}

/// Few different values: most tokens have ties.
Array tiedLogits() {
  std::mt19937 random(9);
  return randomIntegers(random, {37, 16}, -1, 1, MOEC_F32);
}

TEST(Route, Mixtral) {
  expectRoutes({.normalize = "sum"}, logits());
  expectRoutes({.topK = 8}, logits());
}

TEST(Route, TiesSelectTheLowerOrTheHigherIndex) {
  expectRoutes({.topK = 5}, tiedLogits());
  expectRoutes({.topK = 5, .higher = true}, tiedLogits());
  expectRoutes({.topK = 16, .score = "raw", .normalize = "softmax", .higher = true}, tiedLogits());
}

TEST(Route, GptOssAndLlama4) {
  expectRoutes({.topK = 4, .score = "raw", .normalize = "softmax"}, logits());
  expectRoutes({.topK = 1, .score = "raw", .normalize = "sigmoid"}, logits());
}

TEST(Route, DeepSeekSelectsByBiasedScoresAndWeighsByUnbiased) {
  std::mt19937 random(4);
  Array bias = randomArray(random, {16});
  for (double &value : bias.values)
    value = -std::abs(value); // negative biases tell -inf from zero
  bias = array({16}, bias.values);
  for (bool zero : {false, true})
    for (bool higher : {false, true})
      expectRoutes({.topK = 3,
                    .score = "sigmoid",
                    .normalize = "sum",
                    .groups = 4,
                    .kept = 2,
                    .top2 = true,
                    .maskedZero = zero,
                    .higher = higher,
                    .bias = true,
                    .epsilon = 1e-20,
                    .scale = 2.5},
                   logits(), bias);
  expectRoutes({.topK = 3, .score = "sigmoid", .normalize = "sum", .bias = true, .epsilon = 1e-20},
               tiedLogits(), bias);
}

TEST(Route, GroupsScoredByTheirBest) {
  expectRoutes({.topK = 4, .groups = 8, .kept = 2}, logits());
  expectRoutes({.topK = 4, .groups = 8, .kept = 2, .higher = true}, tiedLogits());
}

TEST(Route, WeightsFromOtherValuesDropWhatIsNotPositive) {
  expectRoutes({.topK = 4,
                .score = "raw",
                .normalize = "sum",
                .higher = true,
                .values = true,
                .minWeight = 1e-8},
               logits(), logits(2, 1), 1e-5); // sums of both signs cancel
  expectRoutes({.topK = 4, .score = "raw", .values = true, .minWeight = 1e-8}, logits(),
               logits(3, 1));
}

TEST(Route, SparseMixerOfPhi) {
  // Close logits, of both signs, so that some experts survive beside the best.
  Array close = logits();
  for (double &value : close.values)
    value = 3 + value / 50;
  close = array(close.shape, close.values);
  Array negative = close;
  for (double &value : negative.values)
    value = -value;
  for (const Array &x : {close, negative, logits(), tiedLogits()})
    expectRoutes({.score = "sparse_mixer"}, x);
}

TEST(Route, NanLogitsStillSelectDifferentExperts) {
  Program program(Router{.topK = 16, .score = "raw"}.source());
  ASSERT_TRUE(program.valid());
  Array x = logits();
  for (int64_t e = 0; e < 16; e += 3)
    x.at({5, e}) = NAN;
  Array ids = program.run({x})[0];
  std::vector<double> row(ids.values.begin() + 5 * 16, ids.values.begin() + 6 * 16);
  std::sort(row.begin(), row.end());
  for (int64_t e = 0; e < 16; ++e)
    EXPECT_EQ(row[e], e);
}

//===----------------------------------------------------------------------===//
// experts
//===----------------------------------------------------------------------===//

struct Activation {
  std::string function = "silu", gate = "none";
  double alpha = 1, beta = 0, limit = INFINITY;

  bool fused() const { return gate == "interleaved" || gate == "halves"; }
  std::string text() const {
    std::string text = "#moe.activation<" + function;
    if (gate != "none")
      text += llvm::formatv(", gate = {0}, beta = {1:e8}", gate, beta).str();
    if (alpha != 1)
      text += llvm::formatv(", alpha = {0:e8}", alpha).str();
    if (limit != INFINITY)
      text += llvm::formatv(", limit = {0:e8}", limit).str();
    return text + ">";
  }
  double apply(double x) const {
    if (function == "relu")
      return std::max(x, 0.0);
    if (function == "silu")
      return x / (1 + std::exp(-alpha * x));
    if (function == "gelu_erf")
      return x / 2 * (1 + std::erf(x / std::sqrt(2)));
    if (function == "gelu_tanh")
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    return x;
  }
  /// From the rows of the first product, and of the separate one.
  std::vector<double> operator()(const std::vector<double> &in,
                                 const std::vector<double> &up) const {
    std::vector<double> a;
    size_t inner = fused() ? in.size() / 2 : in.size();
    for (size_t i = 0; i < inner; ++i) {
      if (gate == "none") {
        a.push_back(apply(in[i]));
        continue;
      }
      double g = gate == "interleaved" ? in[2 * i] : in[i];
      double l = gate == "interleaved" ? in[2 * i + 1] : gate == "halves" ? in[inner + i] : up[i];
      a.push_back(apply(std::min(g, limit)) * (std::clamp(l, -limit, limit) + beta));
    }
    return a;
  }
};

constexpr int64_t kTokens = 7, kHidden = 24, kInner = 40, kExperts = 5, kTopK = 3;

/// A matrix per expert, dequantised, and the operands that give it.
struct Weights {
  Array values, bias;
  std::vector<Array> operands;

  Weights() = default;
  Weights(std::mt19937 &random, int64_t rows, int64_t depth)
      : values(randomArray(random, {kExperts, rows, depth}, MOEC_F32, 0.3)),
        bias(randomArray(random, {kExperts, rows})), operands{values} {}

  /// Quantised; zero points by block, by row, or none.
  Weights(std::mt19937 &random, int64_t rows, int64_t depth, int64_t bits, int64_t block,
          const char *zeroPoints)
      : values(zeros({kExperts, rows, depth})), bias(randomArray(random, {kExperts, rows})) {
    int64_t perByte = 8 / bits, blocks = block ? (depth + block - 1) / block : 1;
    Array q = randomIntegers(random, {kExperts, rows, depth}, 0, (1 << bits) - 1, MOEC_U8);
    Array scale = randomArray(random, {kExperts, rows, blocks}, MOEC_F32, 0.05);
    Array zero = randomIntegers(random, {kExperts, rows, blocks}, 0, (1 << bits) - 1, MOEC_U8);
    bool byBlock = zeroPoints[0] == 'b', byRow = zeroPoints[0] == 'r';
    if (!byBlock && !byRow)
      std::fill(zero.values.begin(), zero.values.end(), 1 << (bits - 1));
    for (int64_t e = 0; e < kExperts; ++e)
      for (int64_t n = 0; n < rows; ++n)
        for (int64_t k = 0; k < depth; ++k) {
          int64_t at = block ? k / block : 0;
          values.at({e, n, k}) = (q.at({e, n, k}) - zero.at({e, n, at})) * scale.at({e, n, at});
        }
    operands = {pack(q, perByte, bits), scale};
    if (byRow)
      zero.shape = {kExperts, rows}; // there is one block
    if (byBlock || byRow)
      operands.push_back(pack(zero, perByte, bits));
  }

  /// Packs the last dimension, lowest first.
  static Array pack(const Array &q, int64_t perByte, int64_t bits) {
    std::vector<int64_t> shape = q.shape;
    int64_t depth = shape.back();
    shape.back() = (depth + perByte - 1) / perByte;
    Array bytes = zeros(shape, MOEC_U8);
    for (int64_t i = 0; i < q.count(); ++i)
      bytes.values[i / depth * shape.back() + i % depth / perByte] +=
          std::ldexp(q.values[i], i % depth % perByte * bits);
    return bytes;
  }

  std::vector<double> times(int64_t expert, const std::vector<double> &x, bool biased) const {
    std::vector<double> y(values.shape[1]);
    for (size_t n = 0; n < y.size(); ++n) {
      for (size_t k = 0; k < x.size(); ++k)
        y[n] += values.at({expert, int64_t(n), int64_t(k)}) * x[k];
      y[n] += biased ? bias.at({expert, int64_t(n)}) : 0;
    }
    return y;
  }
};

/// One form of moe.experts and its operands.
struct Block {
  Activation activation;
  bool biased = false, scaleInput = false;
  std::string quant;
  Array x, ids, weights;
  Weights in, out, up;

  Block(std::mt19937 &random, Activation activation) : activation(activation) {
    x = randomArray(random, {kTokens, kHidden});
    // Padding and ids that do not exist contribute nothing.
    ids = randomIntegers(random, {kTokens, kTopK}, -1, kExperts, MOEC_I32);
    weights = randomArray(random, {kTokens, kTopK});
    in = Weights(random, firstRows(), kHidden);
    out = Weights(random, kHidden, kInner);
    up = Weights(random, kInner, kHidden);
  }
  int64_t firstRows() const { return activation.fused() ? 2 * kInner : kInner; }

  static std::string typeOf(const Array &a) {
    std::string text = "tensor<";
    for (int64_t size : a.shape)
      text += std::to_string(size) + "x";
    return text + (a.type == MOEC_U8 ? "i8>" : "f32>");
  }

  std::vector<Array> inputs() const {
    std::vector<Array> all{x, ids, weights};
    visit([&](std::string, const Array &operand) { all.push_back(operand); });
    return all;
  }

  /// Every operand after the first three by its name, in the op's order.
  void visit(std::function<void(std::string, const Array &)> callback) const {
    bool isSeparate = activation.gate == "separate";
    auto part = [&](size_t index, const char *prefix) {
      for (auto [matrix, name, present] :
           {std::tuple(&in, "_in", true), std::tuple(&out, "_out", true),
            std::tuple(&up, "_up", isSeparate)})
        if (present && matrix->operands.size() > index)
          callback(std::string(prefix) + name, matrix->operands[index]);
    };
    part(0, "w");
    if (biased) {
      callback("b_in", in.bias);
      callback("b_out", out.bias);
      if (isSeparate)
        callback("b_up", up.bias);
    }
    part(1, "s");
    part(2, "z");
  }

  std::string attributes() const {
    return "activation = " + activation.text() + (quant.empty() ? "" : ", quant = " + quant);
  }

  std::string source() const {
    std::string arguments, operands;
    visit([&](std::string name, const Array &operand) {
      arguments += ", %" + name + ": " + typeOf(operand);
      operands += " " + name + "(%" + name + " : " + typeOf(operand) + ")";
    });
    return llvm::formatv(R"mlir(
      func.func @main(%x: tensor<?x24xf32>, %ids: tensor<?x3xi32>, %w: tensor<?x3xf32>{0}) -> tensor<?x24xf32> {{
        %y = moe.experts %x, %ids, %w{1} {{{2}{3}}
             : tensor<?x24xf32>, tensor<?x3xi32>, tensor<?x3xf32> -> tensor<?x24xf32>
        return %y : tensor<?x24xf32>
      })mlir",
                         arguments, operands, attributes(), scaleInput ? ", scale_input" : "")
        .str();
  }

  Array expected() const {
    Array y = zeros({kTokens, kHidden});
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t k = 0; k < kTopK; ++k) {
        int64_t expert = ids.at({t, k});
        if (expert < 0 || expert >= kExperts)
          continue;
        double weight = weights.at({t, k});
        std::vector<double> row(x.values.begin() + t * kHidden,
                                x.values.begin() + (t + 1) * kHidden);
        for (double &value : row)
          value *= scaleInput ? weight : 1;
        std::vector<double> a =
            activation(in.times(expert, row, biased), up.times(expert, row, biased));
        std::vector<double> result = out.times(expert, a, biased);
        for (int64_t h = 0; h < kHidden; ++h)
          y.at({t, h}) += (scaleInput ? 1 : weight) * result[h];
      }
    return y;
  }

  /// The op's own decomposition, and what moe-schedule-experts makes of it.
  void check(double threshold = 2e-5) const {
    Program reference(source(), "moec-decompose"), scheduled(source(), "moe-schedule-experts");
    ASSERT_TRUE(reference.valid()) << source();
    ASSERT_TRUE(scheduled.valid()) << source();
    std::vector<Array> results = reference.run(inputs());
    ASSERT_EQ(results.size(), 1u);
    EXPECT_LT(difference(results[0], expected()), threshold) << source();
    EXPECT_TRUE(identical(scheduled.run(inputs())[0], results[0])) << source();
  }
};

TEST(Experts, EveryFunctionWithoutGate) {
  for (const char *function : {"identity", "relu", "silu", "gelu_tanh", "gelu_erf"}) {
    std::mt19937 random(2);
    Block block(random, {.function = function});
    block.biased = true;
    block.check();
  }
}

TEST(Experts, EveryPlaceOfTheGate) {
  for (const char *gate : {"interleaved", "halves", "separate"})
    for (bool biased : {false, true}) {
      std::mt19937 random(3);
      Block block(random, {.gate = gate});
      block.biased = biased;
      block.check();
    }
}

TEST(Experts, GptOssLimits) {
  std::mt19937 random(4);
  Block block(random, {.gate = "interleaved", .alpha = 1.702, .beta = 1, .limit = 0.75});
  block.biased = true;
  block.check();
}

TEST(Experts, ScaledInputOfLlama4) {
  std::mt19937 random(5);
  Block block(random, {.gate = "halves"});
  block.scaleInput = true;
  block.check();
}

TEST(Experts, QuantisedByBlockAndByRow) {
  for (int64_t bits : {2, 4, 8})
    for (auto [size, zeroPoints] : {std::pair(0, "none"), std::pair(0, "rows"),
                                    std::pair(16, "none"), std::pair(16, "blocks")}) {
      std::mt19937 random(6);
      Block block(random, {.gate = "halves"});
      block.in = Weights(random, block.firstRows(), kHidden, bits, size, zeroPoints);
      block.out = Weights(random, kHidden, kInner, bits, size, zeroPoints);
      block.quant = llvm::formatv("#moe.quant<bits = {0}, block = {1}>", bits, size).str();
      block.biased = true;
      block.check(1e-4);
    }
}

//===----------------------------------------------------------------------===//
// permute, grouped_matmul, combine
//===----------------------------------------------------------------------===//

TEST(Permute, SortsSlotsByExpertInOrder) {
  Program program(R"mlir(
    func.func @main(%ids: tensor<?x3xi32>) -> (tensor<6xi32>, tensor<?xi32>, tensor<?x3xi32>) {
      %offsets, %slots, %positions = moe.permute %ids {experts = 5}
           : tensor<?x3xi32> -> tensor<6xi32>, tensor<?xi32>, tensor<?x3xi32>
      return %offsets, %slots, %positions : tensor<6xi32>, tensor<?xi32>, tensor<?x3xi32>
    })mlir");
  ASSERT_TRUE(program.valid());
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    int64_t tokens = random() % 30;
    Array ids = randomIntegers(random, {tokens, 3}, -1, 5, MOEC_I32);
    std::vector<Array> results = program.run({ids});
    ASSERT_EQ(results.size(), 3u);
    std::vector<int64_t> slots(tokens * 3);
    std::iota(slots.begin(), slots.end(), 0);
    auto bucket = [&](int64_t slot) {
      double id = ids.values[slot];
      return id < 0 || id >= 5 ? 5 : int64_t(id);
    };
    std::stable_sort(slots.begin(), slots.end(),
                     [&](int64_t i, int64_t j) { return bucket(i) < bucket(j); });
    Array offsets = zeros({6}, MOEC_I32), order = zeros({tokens * 3}, MOEC_I32);
    Array positions = zeros({tokens, 3}, MOEC_I32);
    for (int64_t place = 0; place < tokens * 3; ++place) {
      for (int64_t e = bucket(slots[place]) + 1; e <= 5; ++e)
        ++offsets.values[e];
      order.values[place] = slots[place];
      positions.values[slots[place]] = bucket(slots[place]) == 5 ? -1 : place;
    }
    EXPECT_TRUE(identical(results[0], offsets));
    EXPECT_TRUE(identical(results[1], order));
    EXPECT_TRUE(identical(results[2], positions));
  }
}

/// The block as permute, two grouped products and combine, with the matrices
/// behind a table of places.
std::string scheduledSource(const Block &block) {
  std::string arguments;
  block.visit([&](std::string name, const Array &operand) {
    arguments += ", %" + name + ": " + Block::typeOf(operand);
  });
  auto operand = [&](const char *name, const char *argument) {
    std::string text;
    block.visit([&](std::string found, const Array &operand) {
      if (found == argument)
        text = llvm::formatv(" {0}(%{1} : {2})", name, argument, Block::typeOf(operand));
    });
    return text;
  };
  std::string quant = block.quant.empty() ? "" : ", quant = " + block.quant;
  std::string first =
      operand("bias", "b_in") + operand("scales", "s_in") + operand("zero_points", "z_in");
  std::string second =
      operand("bias", "b_out") + operand("scales", "s_out") + operand("zero_points", "z_out");
  return llvm::formatv(
             R"mlir(
    func.func @main(%x: tensor<?x24xf32>, %ids: tensor<?x3xi32>, %w: tensor<?x3xf32>{0}) -> tensor<?x24xf32> {{
      %table = arith.constant dense<[0, 1, 2, 3, 4]> : tensor<5xi32>
      %offsets, %slots, %positions = moe.permute %ids {{experts = 5}
           : tensor<?x3xi32> -> tensor<6xi32>, tensor<?xi32>, tensor<?x3xi32>
      %a = moe.grouped_matmul %x, %w_in slots(%slots : tensor<?xi32>) offsets(%offsets : tensor<6xi32>)
           experts(%table : tensor<5xi32>){1}{2} {{slots_per_row = 3, element = f32, {3}}
           : tensor<?x24xf32>, {4} -> tensor<?x40xf32>
      %rows = moe.grouped_matmul %a, %w_out offsets(%offsets : tensor<6xi32>){5} {{element = f32{6}}
           : tensor<?x40xf32>, {7} -> tensor<?x24xf32>
      %y = moe.combine %rows, %positions{8} {{element = f32}
           : tensor<?x24xf32>, tensor<?x3xi32> -> tensor<?x24xf32>
      return %y : tensor<?x24xf32>
    })mlir",
             arguments, block.scaleInput ? " input_scales(%w : tensor<?x3xf32>)" : "", first,
             block.attributes(), Block::typeOf(block.in.operands[0]), second, quant,
             Block::typeOf(block.out.operands[0]),
             block.scaleInput ? "" : " weights(%w : tensor<?x3xf32>)")
      .str();
}

TEST(GroupedMatmul, TheScheduledFormEqualsTheBlockBitForBit) {
  for (int form = 0; form < 4; ++form) {
    std::mt19937 random(form);
    Block block(random, {.gate = form % 2 ? "halves" : "interleaved", .limit = 1});
    block.biased = form != 1;
    block.scaleInput = form == 2;
    if (form == 3) {
      block.in = Weights(random, block.firstRows(), kHidden, 4, 16, "blocks");
      block.out = Weights(random, kHidden, kInner, 4, 16, "blocks");
      block.quant = "#moe.quant<bits = 4, block = 16>";
    }
    Program scheduled(scheduledSource(block)), whole(block.source(), "moec-decompose");
    ASSERT_TRUE(scheduled.valid()) << scheduledSource(block);
    ASSERT_TRUE(whole.valid());
    std::vector<Array> results = scheduled.run(block.inputs());
    ASSERT_EQ(results.size(), 1u);
    EXPECT_LT(difference(results[0], block.expected()), 1e-4);
    EXPECT_TRUE(identical(results[0], whole.run(block.inputs())[0]));
  }
}

TEST(GroupedMatmul, OfScaledRowsHasAKernel) {
  std::mt19937 random(9);
  auto constant = [&](std::vector<int64_t> shape) {
    return denseOf(randomArray(random, std::move(shape)), "f32");
  };
  std::string source = llvm::formatv(R"mlir(
    func.func @main(%x: tensor<?x24xf32>, %ids: tensor<?x2xi32>, %s: tensor<?x2xf32>) -> tensor<?x24xf32> {{
      %w_in = arith.constant {0}
      %w_out = arith.constant {1}
      %y = moe.experts %x, %ids, %s w_in(%w_in : tensor<3x32x24xf32>) w_out(%w_out : tensor<3x24x16xf32>)
           {{activation = #moe.activation<silu, gate = halves>, scale_input}
           : tensor<?x24xf32>, tensor<?x2xi32>, tensor<?x2xf32> -> tensor<?x24xf32>
      return %y : tensor<?x24xf32>
    })mlir",
                                     constant({3, 32, 24}), constant({3, 24, 16}))
                           .str();
  Program selected(source), reference(source, "moec-decompose");
  ASSERT_TRUE(selected.valid() && reference.valid());
  // An id outside the experts is none.
  std::vector<Array> inputs{randomArray(random, {7, 24}),
                            randomIntegers(random, {7, 2}, -1, 3, MOEC_I32),
                            randomArray(random, {7, 2})};
  std::vector<Array> results = selected.run(inputs);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_LT(difference(results[0], reference.run(inputs)[0]), 1e-5);
}

TEST(GroupedMatmul, OneMatrixWithFloatZeroPoints) {
  Program program(R"mlir(
    func.func @main(%x: tensor<?x24xf32>, %w: tensor<1x10x12xi8>, %s: tensor<1x10x2xf32>,
                    %z: tensor<1x10x2xf32>, %y0: tensor<?x10xf32>) -> tensor<?x10xf32> {
      %y = moe.grouped_matmul %x, %w scales(%s : tensor<1x10x2xf32>) zero_points(%z : tensor<1x10x2xf32>)
           {quant = #moe.quant<bits = 4, block = 16>, element = f32}
           : tensor<?x24xf32>, tensor<1x10x12xi8> -> tensor<?x10xf32>
      %p = arith.constant dense<[[2], [-1], [0]]> : tensor<3x1xi32>
      %cast = tensor.cast %p : tensor<3x1xi32> to tensor<?x1xi32>
      %sum = moe.combine %y, %cast addend(%y0 : tensor<?x10xf32>) {element = f32}
           : tensor<?x10xf32>, tensor<?x1xi32> -> tensor<?x10xf32>
      return %sum : tensor<?x10xf32>
    })mlir");
  ASSERT_TRUE(program.valid());
  std::mt19937 random(8);
  Array x = randomArray(random, {3, 24}), q = randomIntegers(random, {1, 10, 24}, 0, 15, MOEC_U8);
  Array scales = randomArray(random, {1, 10, 2}), zero = randomArray(random, {1, 10, 2});
  Array addend = randomArray(random, {3, 10});
  std::vector<Array> results = program.run({x, Weights::pack(q, 2, 4), scales, zero, addend});
  ASSERT_EQ(results.size(), 1u);
  Array expected = addend;
  for (auto [to, from] : {std::pair(0, 2), std::pair(2, 0)})
    for (int64_t n = 0; n < 10; ++n)
      for (int64_t k = 0; k < 24; ++k)
        expected.at({to, n}) += x.at({from, k}) * (q.at({0, n, k}) - zero.at({0, n, k / 16})) *
                                scales.at({0, n, k / 16});
  EXPECT_LT(difference(results[0], expected), 1e-5);
}

} // namespace
