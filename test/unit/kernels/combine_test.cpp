// The generated combine is bit for bit what its decomposition computes, and
// skips slots without a row.
#include "test/unit/kernels/typed_program.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace moec;
using namespace moec::test;

namespace {

std::string source(int64_t hidden, bool weights, bool addend) {
  std::string y = llvm::formatv("tensor<?x{0}x!T>", hidden);
  return llvm::formatv(R"mlir(
    func.func @main(%rows: tensor<?x{0}xf32>, %positions: tensor<?x3xi32>, %w: tensor<?x3xf32>, %a: {1}) -> {1} {{
      %y = moe.combine %rows, %positions {2} {3} {{element = !T} : tensor<?x{0}xf32>, tensor<?x3xi32> -> {1}
      return %y : {1}
    })mlir",
                       hidden, y, weights ? "weights(%w : tensor<?x3xf32>)" : "",
                       addend ? "addend(%a : " + y + ")" : "")
      .str();
}

class CombineTest : public ChipSuite {};

TEST_P(CombineTest, MatchesTheDecompositionBitForBit) {
  for (const ElementType &element : kFloats)
    for (int64_t hidden : {64, 37})
      for (auto [weights, addend] :
           {std::pair(true, false), std::pair(false, false), std::pair(true, true)}) {
        std::string text = withType(source(hidden, weights, addend), element.name);
        Program program(text, "", GetParam());
        Program plain(text, "moec-decompose", GetParam());
        ASSERT_TRUE(program.valid() && plain.valid()) << text;
        for (int64_t tokens : {0, 1, 9}) {
          Array rows = randomArray(random, {3 * tokens, hidden});
          // Whoever reads the first row for a slot without one must not add it.
          for (int64_t h = 0; tokens && h < hidden; ++h)
            rows.at({0, h}) = NAN;
          Array positions = randomIntegers(random, {tokens, 3}, -1, 3 * tokens - 1, MOEC_I32);
          for (double &position : positions.values)
            position = position == 0 ? -1 : position;
          std::vector<Array> inputs{rows, positions, randomArray(random, {tokens, 3}),
                                    randomArray(random, {tokens, hidden}, element.type)};
          Array y = program.run(inputs)[0];
          EXPECT_TRUE(identical(y, plain.run(inputs)[0])) << text;
          EXPECT_TRUE(identical(y, program.run(inputs, 1000)[0])) << text;
          for (double value : y.values)
            EXPECT_FALSE(std::isnan(value));
        }
      }
}

MOEC_ON_ALL_CHIPS(CombineTest);

} // namespace
