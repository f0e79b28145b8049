// The decomposition of attn.linear_attention against its description in
// double, and bit for bit against itself, however the tokens are split.
#include "test/unit/dialects/attention_reference.h"

#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace moec::test;

namespace {

constexpr double kScale = 0.3;

/// Of two rows; a size of 0 is an operand that is not there.
struct Form {
  int64_t tokens = 5;
  int64_t queryHeads = 4, keyHeads = 2, stateHeads = 2, depth = 6, width = 5;
  int64_t decayDepth = 0, betaHeads = 0;
  std::string type = "f32", stateType = "f32";
  /// What the types of the program leave open.
  bool hasDynamicSizes = false;

  int64_t heads() const { return std::max(queryHeads, stateHeads); }
};

moec_element_type codeOf(const std::string &type) {
  return type == "f16"    ? MOEC_F16
         : type == "bf16" ? MOEC_BF16
         : type == "f64"  ? MOEC_F64
                          : MOEC_F32;
}

std::string sourceOf(const Form &form) {
  auto tensor = [&](std::string sizes, std::initializer_list<int64_t> known, std::string type) {
    for (int64_t size : known)
      sizes += "x" + (form.hasDynamicSizes ? "?" : std::to_string(size));
    return "tensor<" + sizes + "x" + type + ">";
  };
  std::string q = tensor("?x?", {form.queryHeads, form.depth}, form.type);
  std::string k = tensor("?x?", {form.keyHeads, form.depth}, form.type);
  std::string v = tensor("?x?", {form.stateHeads, form.width}, form.type);
  std::string state = tensor("?", {form.stateHeads, form.depth, form.width}, form.stateType);
  std::string y = tensor("?x?", {form.heads(), form.width}, form.type);
  std::string arguments, operands;
  auto optional = [&](const char *name, std::string type) {
    arguments += llvm::formatv(", %{0}: {1}", name, type).str();
    operands += llvm::formatv(" {0}(%{0} : {1})", name, type).str();
  };
  if (form.decayDepth)
    optional("decay", tensor("?x?", {form.stateHeads, form.decayDepth}, form.type));
  if (form.betaHeads)
    optional("beta", tensor("?x?", {form.betaHeads}, form.type));
  return llvm::formatv(R"mlir(
    func.func @main(%q: {0}, %k: {1}, %v: {2}, %s: {3}{5}) -> ({4}, {3}) {{
      %y, %present = attn.linear_attention %q, %k, %v state(%s : {3}){6} {{scale = {7:e6} : f64}
           : {0}, {1}, {2} -> {4}, {3}
      return %y, %present : {4}, {3}
    })mlir",
                       q, k, v, state, y, arguments, operands, kScale)
      .str();
}

/// Keys of length 1 on average, decays below 0, betas from 0 to 1.
std::vector<Array> randomInputs(std::mt19937 &random, const Form &form) {
  moec_element_type type = codeOf(form.type);
  auto tensor = [&](std::vector<int64_t> sizes, double deviation = 1) {
    sizes.insert(sizes.begin(), {2, form.tokens});
    return randomArray(random, sizes, type, deviation);
  };
  std::vector<Array> inputs{
      tensor({form.queryHeads, form.depth}),
      tensor({form.keyHeads, form.depth}, 1 / std::sqrt(double(form.depth))),
      tensor({form.stateHeads, form.width}),
      randomArray(random, {2, form.stateHeads, form.depth, form.width}, codeOf(form.stateType))};
  if (form.decayDepth) {
    inputs.push_back(tensor({form.stateHeads, form.decayDepth}));
    for (double &value : inputs.back().values)
      value = -std::abs(value);
  }
  if (form.betaHeads) {
    inputs.push_back(tensor({form.betaHeads}));
    for (double &value : inputs.back().values)
      value = std::min(std::abs(value), 1.0);
  }
  return inputs;
}

/// The op's description: the result and the state.
std::vector<Array> linearAttention(const Form &form, const std::vector<Array> &inputs) {
  const Array &q = inputs[0], &k = inputs[1], &v = inputs[2];
  Array state = inputs[3];
  const Array *decay = form.decayDepth ? &inputs[4] : nullptr;
  const Array *beta = form.betaHeads ? &inputs.back() : nullptr;
  int64_t heads = form.heads();
  Array y = zeros({2, form.tokens, heads, form.width}, q.type);
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t t = 0; t < form.tokens; ++t)
      for (int64_t e = 0; e < form.width; ++e) {
        for (int64_t m = 0; m < form.stateHeads; ++m) {
          int64_t key = m / (form.stateHeads / form.keyHeads);
          double retrieved = 0;
          for (int64_t d = 0; d < form.depth; ++d) {
            if (decay)
              state.at({b, m, d, e}) *=
                  std::exp(decay->at({b, t, m, form.decayDepth == 1 ? 0 : d}));
            retrieved += k.at({b, t, key, d}) * state.at({b, m, d, e});
          }
          double update = v.at({b, t, m, e});
          if (beta)
            update = beta->at({b, t, form.betaHeads == 1 ? 0 : m}) * (update - retrieved);
          for (int64_t d = 0; d < form.depth; ++d)
            state.at({b, m, d, e}) += k.at({b, t, key, d}) * update;
        }
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t d = 0; d < form.depth; ++d)
            y.at({b, t, h, e}) += kScale * q.at({b, t, h / (heads / form.queryHeads), d}) *
                                  state.at({b, h / (heads / form.stateHeads), d, e});
      }
  return {y, state};
}

void expectFormula(const Form &form, double threshold = 3e-6) {
  Program program(sourceOf(form), "moec-decompose");
  ASSERT_TRUE(program.valid()) << sourceOf(form);
  std::mt19937 random(7);
  std::vector<Array> inputs = randomInputs(random, form);
  std::vector<Array> results = program.run(inputs), expected = linearAttention(form, inputs);
  ASSERT_EQ(results.size(), 2u);
  for (size_t i : {0, 1})
    EXPECT_LT(difference(results[i], expected[i]), threshold) << i;
}

TEST(LinearAttention, UpdatesByEveryRule) {
  for (int64_t decayDepth : {0, 1, 6})
    for (int64_t betaHeads : {0, 1, 2})
      expectFormula({.decayDepth = decayDepth, .betaHeads = betaHeads});
}

TEST(LinearAttention, SizesThatTypesLeaveOpen) {
  for (auto [decayDepth, betaHeads] : {std::pair(1, 2), std::pair(6, 1)})
    expectFormula({.decayDepth = decayDepth, .betaHeads = betaHeads, .hasDynamicSizes = true});
  expectFormula({.queryHeads = 3, .keyHeads = 1, .stateHeads = 6, .hasDynamicSizes = true});
}

TEST(LinearAttention, HeadsShareWhereThereAreFewer) {
  for (auto [queries, keys, states] :
       {std::tuple(4, 1, 1), std::tuple(6, 3, 3), std::tuple(2, 2, 6), std::tuple(3, 1, 6)})
    expectFormula({.queryHeads = queries,
                   .keyHeads = keys,
                   .stateHeads = states,
                   .decayDepth = 6,
                   .betaHeads = states});
}

TEST(LinearAttention, NarrowAndWideElementTypes) {
  for (auto [type, stateType, threshold] :
       {std::tuple("f16", "f32", 1e-3), std::tuple("bf16", "f32", 8e-3),
        std::tuple("f16", "f16", 4e-3), std::tuple("bf16", "bf16", 3e-2),
        std::tuple("f32", "f16", 4e-3), std::tuple("f64", "f64", 1e-13)})
    expectFormula({.decayDepth = 1, .betaHeads = 2, .type = type, .stateType = stateType},
                  threshold);
}

TEST(LinearAttention, NoTokensKeepTheState) {
  Form form{.tokens = 0, .decayDepth = 1, .betaHeads = 2};
  Program program(sourceOf(form), "moec-decompose");
  ASSERT_TRUE(program.valid());
  std::mt19937 random(1);
  std::vector<Array> inputs = randomInputs(random, form), results = program.run(inputs);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(identical(results[1], inputs[3]));
}

/// The same operands for tokens [from, to) behind `state`.
std::vector<Array> part(const std::vector<Array> &inputs, const Array &state, int64_t from,
                        int64_t to) {
  std::vector<Array> result;
  for (auto [index, input] : llvm::enumerate(inputs))
    result.push_back(index == 3 ? state : slice(input, 1, from, to));
  return result;
}

TEST(LinearAttention, AnySplitOfTheTokensAgreesBitForBit) {
  for (const char *stateType : {"f32", "f16"}) {
    Form form{.tokens = 23, .decayDepth = 6, .betaHeads = 2, .type = "f16", .stateType = stateType};
    Program program(sourceOf(form), "moec-decompose");
    ASSERT_TRUE(program.valid());
    for (unsigned seed = 0; seed < 20; ++seed) {
      std::mt19937 random(seed);
      std::vector<Array> inputs = randomInputs(random, form);
      std::vector<Array> whole = program.run(inputs);
      ASSERT_EQ(whole.size(), 2u);
      Array state = inputs[3];
      for (int64_t from = 0; from < form.tokens;) {
        int64_t to = std::min<int64_t>(form.tokens, from + (seed ? 1 + random() % 9 : 1));
        std::vector<Array> results = program.run(part(inputs, state, from, to), 1 + random() % 7);
        ASSERT_EQ(results.size(), 2u);
        EXPECT_TRUE(identical(results[0], slice(whole[0], 1, from, to))) << seed << ": " << from;
        state = results[1];
        from = to;
      }
      EXPECT_TRUE(identical(state, whole[1])) << seed;
    }
  }
}

} // namespace
