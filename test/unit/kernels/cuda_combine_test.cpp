// Slots summed by threads are bit for bit what the decomposition computes, by
// whole units and where no unit divides a row, and slots without a row are
// skipped.
#include "test/unit/kernels/combine_cases.h"
#include "test/unit/kernels/device_program.h"
#include "test/unit/kernels/typed_program.h"
#include "gtest/gtest.h"

using namespace moec;
using namespace moec::test;

namespace {

TEST(CudaCombineTest, MatchesTheDecompositionBitForBit) {
  std::mt19937 random{7};
  // A part of a block, and more than one.
  for (auto [element, hidden, weights, addend] :
       {std::tuple(kFloats[0], 64, true, false), std::tuple(kFloats[0], 1028, true, true),
        std::tuple(kFloats[1], 64, false, false), std::tuple(kFloats[2], 37, true, true),
        std::tuple(kFloats[2], 520, true, true)}) {
    std::string text = withType(combine(hidden, weights, addend), element.name);
    DeviceProgram program(text, testedCudaChip());
    Program plain(text, "moec-decompose");
    ASSERT_TRUE(program.valid() && plain.valid()) << text;
    for (int64_t tokens : {0, 1, 9}) {
      std::vector<Array> inputs = combineInputs(random, tokens, hidden, element.type);
      std::vector<Array> results = program.run(inputs);
      ASSERT_EQ(results.size(), 1u);
      EXPECT_TRUE(identical(results[0], plain.run(inputs)[0])) << text;
      for (double value : results[0].values)
        EXPECT_FALSE(std::isnan(value));
    }
  }
}

} // namespace
