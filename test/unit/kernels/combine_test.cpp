// The generated combine is bit for bit what its decomposition computes, and
// skips slots without a row.
#include "test/unit/kernels/combine_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

class CombineTest : public ChipSuite {};

TEST_P(CombineTest, MatchesTheDecompositionBitForBit) {
  for (const ElementType &element : kFloats)
    for (int64_t hidden : {64, 37})
      for (auto [weights, addend] :
           {std::pair(true, false), std::pair(false, false), std::pair(true, true)}) {
        std::string text = withType(combine(hidden, weights, addend), element.name);
        Program program(text, "", GetParam());
        Program plain(text, "moec-decompose", GetParam());
        ASSERT_TRUE(program.valid() && plain.valid()) << text;
        for (int64_t tokens : {0, 1, 9}) {
          std::vector<Array> inputs = combineInputs(random, tokens, hidden, element.type);
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
