// Generated rotary embeddings are bit for bit what their decomposition computes.
#include "test/unit/kernels/typed_program.h"
#include "llvm/Support/FormatVariadic.h"

using namespace moec;
using namespace moec::test;

namespace {

struct Case {
  bool interleaved, positions;
  int64_t heads, depth, pairs;

  std::string source() const {
    std::string x = llvm::formatv("tensor<?x?x{0}x{1}x!T>", heads, depth);
    std::string cache = llvm::formatv(positions ? "tensor<?x{0}x!T>" : "tensor<?x?x{0}x!T>", pairs);
    return llvm::formatv(R"mlir(
      func.func @main(%x: {0}, %cos: {1}, %sin: {1}{2}) -> {0} {{
        %y = attn.rope{3} %x, %cos, %sin{4} : {0}, {1}, {1} -> {0}
        return %y : {0}
      })mlir",
                         x, cache, positions ? ", %p: tensor<?x?xi64>" : "",
                         interleaved ? " interleaved" : "",
                         positions ? " positions(%p : tensor<?x?xi64>)" : "")
        .str();
  }

  std::vector<Array> inputs(std::mt19937 &random, moec_element_type type, int64_t batch,
                            int64_t tokens) const {
    std::vector<int64_t> cache{batch, tokens, pairs};
    if (positions)
      cache = {50, pairs};
    std::vector<Array> inputs{randomArray(random, {batch, tokens, heads, depth}, type),
                              randomArray(random, cache, type), randomArray(random, cache, type)};
    if (positions)
      inputs.push_back(randomIntegers(random, {batch, tokens}, 0, 49));
    return inputs;
  }
};

class RopeTest : public ChipSuite {};

TEST_P(RopeTest, MatchesDoubleAndTheDecompositionsBits) {
  // Whole vectors, parts of them, and dimensions that pass through.
  for (bool interleaved : {false, true})
    for (bool positions : {false, true})
      for (auto [heads, depth, pairs] :
           {std::tuple(3, 64, 32), std::tuple(1, 20, 7), std::tuple(2, 50, 9)}) {
        Case form{interleaved, positions, heads, depth, pairs};
        Program program(withType(form.source(), "f32"), "", GetParam());
        Program plain(withType(form.source(), "f32"), "moec-decompose", GetParam());
        std::vector<Array> inputs = form.inputs(random, MOEC_F32, 2, 5);
        expectLikeDouble(program, form.source(), inputs, 1e-6);
        ASSERT_TRUE(plain.valid());
        EXPECT_TRUE(identical(program.run(inputs)[0], plain.run(inputs)[0])) << form.source();
      }
}

TEST_P(RopeTest, NarrowElementTypes) {
  Case form{true, true, 2, 40, 19};
  for (const ElementType &element : kFloats) {
    Program program(withType(form.source(), element.name), "", GetParam());
    expectLikeDouble(program, form.source(), form.inputs(random, element.type, 3, 4),
                     element.threshold);
  }
}

TEST_P(RopeTest, PositionsOutsideTheCacheAreErrors) {
  Case form{false, true, 2, 8, 4};
  Program program(withType(form.source(), "f32"), "", GetParam());
  ASSERT_TRUE(program.valid());
  for (int64_t position : {-1, 50}) {
    std::vector<Array> inputs = form.inputs(random, MOEC_F32, 1, 3);
    inputs[3].values[1] = position;
    EXPECT_TRUE(program.run(inputs).empty()) << position;
  }
}

MOEC_ON_ALL_CHIPS(RopeTest);

} // namespace
