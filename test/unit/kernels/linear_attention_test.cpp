// Generated linear attention is what the operation says, whatever the grid is
// split into, and for any split of the tokens it is the same bit for bit.
#include "test/unit/dialects/attention_reference.h"
#include "test/unit/kernels/typed_program.h"
#include "llvm/Support/FormatVariadic.h"

using namespace moec;
using namespace moec::test;

namespace {

/// A size of 0 is an operand that is not there.
struct Case {
  int64_t queryHeads = 2, keyHeads = 2, stateHeads = 2, depth = 16, width = 40;
  int64_t decayDepth = 0, betaHeads = 0;

  std::string source() const {
    auto perToken = [](int64_t heads, int64_t size) {
      return llvm::formatv("tensor<?x?x{0}x{1}x!T>", heads, size).str();
    };
    std::string q = perToken(queryHeads, depth), k = perToken(keyHeads, depth);
    std::string v = perToken(stateHeads, width);
    std::string y = perToken(std::max(queryHeads, stateHeads), width);
    std::string s = llvm::formatv("tensor<?x{0}x{1}x{2}x!S>", stateHeads, depth, width);
    std::string arguments, operands;
    auto optional = [&](const char *name, std::string type) {
      arguments += llvm::formatv(", %{0}: {1}", name, type).str();
      operands += llvm::formatv(" {0}(%{0} : {1})", name, type).str();
    };
    if (decayDepth)
      optional("decay", perToken(stateHeads, decayDepth));
    if (betaHeads)
      optional("beta", llvm::formatv("tensor<?x?x{0}x!T>", betaHeads));
    return llvm::formatv(R"mlir(
      func.func @main(%q: {0}, %k: {1}, %v: {2}, %s: {3}{5}) -> ({4}, {3}) {{
        %y, %present = attn.linear_attention %q, %k, %v state(%s : {3}){6} {{scale = 0.3 : f64}
             : {0}, {1}, {2} -> {4}, {3}
        return %y, %present : {4}, {3}
      })mlir",
                         q, k, v, s, y, arguments, operands)
        .str();
  }

  std::vector<Array> inputs(std::mt19937 &random, moec_element_type type,
                            moec_element_type stateType, int64_t tokens) const {
    auto perToken = [&](std::vector<int64_t> sizes, double deviation) {
      sizes.insert(sizes.begin(), {2, tokens});
      return randomArray(random, sizes, type, deviation);
    };
    std::vector<Array> inputs{perToken({queryHeads, depth}, 1),
                              perToken({keyHeads, depth}, 1 / std::sqrt(double(depth))),
                              perToken({stateHeads, width}, 1),
                              randomArray(random, {2, stateHeads, depth, width}, stateType)};
    if (decayDepth)
      inputs.push_back(perToken({stateHeads, decayDepth}, .5));
    if (betaHeads)
      inputs.push_back(perToken({betaHeads}, .5));
    // Decays are below 0, betas above.
    for (size_t i = 4; i < inputs.size(); ++i)
      for (double &value : inputs[i].values)
        value = i == 4 && decayDepth ? -std::abs(value) : std::min(std::abs(value), 1.0);
    return inputs;
  }
};

std::string sourceOf(const Case &form, const char *type, const char *stateType) {
  return "!S = " + std::string(stateType) + "\n" + withType(form.source(), type);
}

class LinearAttentionTest : public ChipSuite {
protected:
  void expectLikeDouble(const Case &form, const ElementType &element, const ElementType &state,
                        double threshold) {
    Program program(sourceOf(form, element.name, state.name), "", GetParam());
    Program exact(sourceOf(form, "f64", "f64"));
    ASSERT_TRUE(program.valid() && exact.valid()) << form.source();
    std::vector<Array> inputs = form.inputs(random, element.type, state.type, 7);
    std::vector<Array> results = program.run(inputs), expected = exact.run(asDouble(inputs));
    std::vector<Array> whole = program.run(inputs, 1000);
    ASSERT_EQ(results.size(), 2u);
    for (size_t i : {0, 1}) {
      EXPECT_LT(difference(results[i], expected[i]), threshold) << form.source() << i;
      EXPECT_TRUE(identical(whole[i], results[i])) << form.source() << i;
    }
  }
  void expectLikeDouble(const Case &form) {
    expectLikeDouble(form, kFloats[0], kFloats[0], kFloats[0].threshold);
  }
};

TEST_P(LinearAttentionTest, EveryUpdateRule) {
  for (auto [decayDepth, betaHeads] :
       {std::pair(0, 0), std::pair(16, 0), std::pair(0, 2), std::pair(1, 1), std::pair(16, 2)})
    expectLikeDouble({.decayDepth = decayDepth, .betaHeads = betaHeads});
}

TEST_P(LinearAttentionTest, HeadsShareAndVectorsEndAnywhere) {
  // Blocks of many columns, of few, of parts of a vector; sums of many heads.
  for (auto [queries, keys, states, width] :
       {std::tuple(1, 1, 1, 5), std::tuple(2, 1, 2, 64), std::tuple(4, 2, 2, 70),
        std::tuple(12, 1, 1, 33), std::tuple(1, 1, 4, 16)})
    expectLikeDouble({.queryHeads = queries,
                      .keyHeads = keys,
                      .stateHeads = states,
                      .depth = 11,
                      .width = width,
                      .decayDepth = 11,
                      .betaHeads = states});
}

TEST_P(LinearAttentionTest, NarrowElementTypes) {
  Case form{.decayDepth = 16, .betaHeads = 2};
  for (const ElementType &element : llvm::ArrayRef(kFloats).drop_front()) {
    expectLikeDouble(form, element, kFloats[0], element.threshold);
    // Roundings of a state add up.
    expectLikeDouble(form, element, element, 4 * element.threshold);
  }
}

TEST_P(LinearAttentionTest, AnySplitOfTheTokensAgreesBitForBit) {
  for (const ElementType &state : {kFloats[0], kFloats[1]}) {
    Case form{.decayDepth = 1, .betaHeads = 2};
    Program program(sourceOf(form, "f16", state.name), "", GetParam());
    ASSERT_TRUE(program.valid());
    constexpr int64_t kTokens = 23;
    std::vector<Array> inputs = form.inputs(random, MOEC_F16, state.type, kTokens);
    std::vector<Array> whole = program.run(inputs);
    ASSERT_EQ(whole.size(), 2u);
    Array past = inputs[3];
    for (int64_t from = 0; from < kTokens;) {
      int64_t to = std::min<int64_t>(kTokens, from + random() % 5);
      std::vector<Array> part;
      for (size_t i = 0; i < inputs.size(); ++i)
        part.push_back(i == 3 ? past : slice(inputs[i], 1, from, to));
      std::vector<Array> results = program.run(part, 1 + random() % 7);
      ASSERT_EQ(results.size(), 2u);
      EXPECT_TRUE(identical(results[0], slice(whole[0], 1, from, to))) << from;
      past = results[1];
      from = to;
    }
    EXPECT_TRUE(identical(past, whole[1]));
  }
}

MOEC_ON_ALL_CHIPS(LinearAttentionTest);

} // namespace
