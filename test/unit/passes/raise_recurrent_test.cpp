// Operators that carry a state give the same bits for any split of the tokens,
// and a window of states holds what calls with fewer tokens would return.
#include "test/unit/dialects/attention_reference.h"

#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"

using namespace moec::test;

namespace {

/// A node of com.microsoft: its inputs, along which of their dimensions tokens
/// are, or -1, which of them is the state, and its output, whose tokens are along
/// the dimension of the first input's.
struct Recurrence {
  std::string node, parameters;
  std::vector<std::string> types;
  std::vector<int> tokenDims;
  std::string y;
  size_t state = 3;

  std::string source() const {
    std::string arguments, operands, list;
    for (auto [i, type] : llvm::enumerate(types)) {
      std::string comma = i ? ", " : "";
      arguments += llvm::formatv("{0}%a{1}: {2}", comma, i, type).str();
      operands += llvm::formatv("{0}%a{1}", comma, i).str();
      list += comma + type;
    }
    const std::string &present = types[state];
    return llvm::formatv(R"mlir(
      func.func @main({0}) -> ({1}, {2}) {{
        %y, %present = onnx.node domain "com.microsoft" "{3}" version 1 parameters {{{4}}
             ({5}) : ({6}) -> ({1}, {2})
        return %y, %present : {1}, {2}
      })mlir",
                         arguments, y, present, node, parameters, operands, list)
        .str();
  }

  /// Tokens [from, to) of the inputs, behind `past`.
  std::vector<Array> part(const std::vector<Array> &inputs, const Array &past, int64_t from,
                          int64_t to) const {
    std::vector<Array> result;
    for (auto [i, input] : llvm::enumerate(inputs))
      result.push_back(i == state         ? past
                       : tokenDims[i] < 0 ? input
                                          : slice(input, tokenDims[i], from, to));
    return result;
  }
};

void expectAnySplit(const Recurrence &form, const std::vector<Array> &inputs) {
  Program program(form.source());
  ASSERT_TRUE(program.valid()) << form.source();
  std::vector<Array> whole = program.run(inputs);
  ASSERT_EQ(whole.size(), 2u);
  int dim = form.tokenDims.front();
  int64_t tokens = inputs.front().shape[dim];
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    Array past = inputs[form.state];
    for (int64_t from = 0; from < tokens;) {
      int64_t to = std::min<int64_t>(tokens, from + (seed ? 1 + random() % 5 : 1));
      std::vector<Array> results = program.run(form.part(inputs, past, from, to), 1 + random() % 5);
      ASSERT_EQ(results.size(), 2u);
      EXPECT_TRUE(identical(results[0], slice(whole[0], dim, from, to))) << seed << ": " << from;
      past = results[1];
      from = to;
    }
    EXPECT_TRUE(identical(past, whole[1])) << seed;
  }
}

/// `window` compared with `plain`, the same operator without one.
void expectWindow(const Recurrence &plain, const Recurrence &window, int64_t slots,
                  std::vector<Array> inputs) {
  Program one(plain.source()), many(window.source());
  ASSERT_TRUE(one.valid() && many.valid()) << window.source();
  const Array past = inputs[plain.state];
  // The call reads the last slot alone.
  Array pasts = past;
  pasts.shape.insert(pasts.shape.begin(), slots);
  pasts.values.insert(pasts.values.begin(), (slots - 1) * past.values.size(), 99);
  int dim = plain.tokenDims.front();
  for (int64_t tokens = 1; tokens <= inputs.front().shape[dim]; ++tokens) {
    std::vector<Array> results = many.run(window.part(inputs, pasts, 0, tokens));
    ASSERT_EQ(results.size(), 2u);
    EXPECT_TRUE(identical(results[0], one.run(plain.part(inputs, past, 0, tokens))[0]));
    for (int64_t slot = 0; slot < slots; ++slot) {
      Array state = slice(results[1], 0, slot, slot + 1);
      state.shape.erase(state.shape.begin());
      int64_t count = tokens - slots + slot + 1;
      Array expected = zeros(past.shape, past.type);
      if (count > 0)
        expected = one.run(plain.part(inputs, past, 0, count))[1];
      EXPECT_TRUE(identical(state, expected)) << slot << " of " << tokens;
    }
  }
}

//===----------------------------------------------------------------------===//
// CausalConvWithState
//===----------------------------------------------------------------------===//

constexpr int64_t kChannels = 5;

struct Convolution {
  bool isChannelsLast = false;
  int64_t taps = 4, dilation = 1, window = 0;
  std::string type = "f32";

  int64_t reach() const { return (taps - 1) * dilation; }

  Recurrence node() const {
    std::string state = isChannelsLast ? llvm::formatv("?x{0}x{1}", reach(), kChannels).str()
                                       : llvm::formatv("?x{0}x{1}", kChannels, reach()).str();
    if (window)
      state = std::to_string(window) + "x" + state;
    auto tensor = [&](std::string sizes) { return "tensor<" + sizes + "x" + type + ">"; };
    return {"CausalConvWithState",
            llvm::formatv("channels_last = {0} : i64, dilation = {1} : i64, "
                          "state_window = {2} : i64, activation = \"silu\"",
                          int(isChannelsLast), dilation, window)
                .str(),
            {tensor(isChannelsLast ? "?x?x5" : "?x5x?"),
             tensor(llvm::formatv("5x1x{0}", taps).str()), tensor("5"), tensor(state)},
            {isChannelsLast ? 1 : 2, -1, -1, -1},
            tensor(isChannelsLast ? "?x?x5" : "?x5x?")};
  }

  std::vector<Array> inputs(int64_t tokens) const {
    std::mt19937 random(3);
    moec_element_type code = type == "f16" ? MOEC_F16 : MOEC_F32;
    auto sequence = [&](int64_t length) {
      return randomArray(random,
                         isChannelsLast ? std::vector<int64_t>{2, length, kChannels}
                                        : std::vector<int64_t>{2, kChannels, length},
                         code);
    };
    return {sequence(tokens), randomArray(random, {kChannels, 1, taps}, code),
            randomArray(random, {kChannels}, code), sequence(reach())};
  }
};

TEST(CausalConvolution, AnySplitOfTheTokensAgreesBitForBit) {
  for (bool isChannelsLast : {false, true})
    for (auto [taps, dilation] : {std::pair(4, 1), std::pair(3, 4), std::pair(1, 1)})
      for (const char *type : {"f32", "f16"}) {
        Convolution form{isChannelsLast, taps, dilation, 0, type};
        expectAnySplit(form.node(), form.inputs(17));
      }
}

TEST(CausalConvolution, AWindowHoldsTheStateBehindEachToken) {
  for (bool isChannelsLast : {false, true})
    for (int64_t window : {1, 3, 8}) {
      Convolution plain{isChannelsLast, 3, 2}, windowed = plain;
      windowed.window = window;
      expectWindow(plain.node(), windowed.node(), window, plain.inputs(10));
    }
}

//===----------------------------------------------------------------------===//
// LinearAttention
//===----------------------------------------------------------------------===//

Recurrence linearAttention(int64_t window) {
  std::string past = window ? std::to_string(window) + "x?x2x6x5" : "?x2x6x5";
  auto tensor = [](std::string sizes) { return "tensor<" + sizes + "xf32>"; };
  return {"LinearAttention",
          llvm::formatv("q_num_heads = 4 : i64, kv_num_heads = 2 : i64, state_window = {0} : i64",
                        window)
              .str(),
          {tensor("?x?x24"), tensor("?x?x12"), tensor("?x?x10"), tensor(past), tensor("?x?x12"),
           tensor("?x?x1")},
          {1, 1, 1, -1, 1, 1},
          tensor("?x?x20")};
}

std::vector<Array> attentionInputs(int64_t tokens) {
  std::mt19937 random(3);
  std::vector<Array> inputs{
      randomArray(random, {2, tokens, 24}), randomArray(random, {2, tokens, 12}, MOEC_F32, .4),
      randomArray(random, {2, tokens, 10}), randomArray(random, {2, 2, 6, 5}),
      randomArray(random, {2, tokens, 12}), randomArray(random, {2, tokens, 1})};
  for (double &decay : inputs[4].values)
    decay = -std::abs(decay);
  return inputs;
}

TEST(LinearAttention, AnySplitOfTheTokensAgreesBitForBit) {
  expectAnySplit(linearAttention(0), attentionInputs(17));
}

TEST(LinearAttention, AWindowHoldsTheStateBehindEachToken) {
  for (int64_t window : {1, 3, 8})
    expectWindow(linearAttention(0), linearAttention(window), window, attentionInputs(10));
}

TEST(LinearAttention, SizesThatDifferAreErrorsOfExecution) {
  Program program(linearAttention(0).source());
  ASSERT_TRUE(program.valid());
  std::vector<Array> inputs = attentionInputs(4), others = attentionInputs(5);
  EXPECT_EQ(program.run(inputs).size(), 2u);
  for (size_t i : {1, 2, 4, 5}) {
    std::vector<Array> mixed = inputs;
    mixed[i] = others[i];
    EXPECT_TRUE(program.run(mixed).empty()) << i;
  }
  inputs[3] = slice(inputs[3], 0, 0, 1);
  EXPECT_TRUE(program.run(inputs).empty());
}

} // namespace
