// Rotary embeddings by units of heads are bit for bit what their decomposition
// computes.
#include "test/unit/kernels/device_program.h"
#include "test/unit/kernels/rope_cases.h"
#include "test/unit/kernels/typed_program.h"
#include "gtest/gtest.h"

using namespace moec;
using namespace moec::test;

namespace {

std::mt19937 random_{7};

/// Whole units, parts of them, and dimensions that pass through.
TEST(CudaRopeTest, MatchesTheDecompositionsBits) {
  for (auto [form, element] : {std::pair(Rotation{false, true, 3, 64, 32}, kFloats[0]),
                               std::pair(Rotation{true, false, 3, 64, 32}, kFloats[0]),
                               std::pair(Rotation{false, false, 1, 20, 7}, kFloats[0]),
                               std::pair(Rotation{true, true, 2, 50, 9}, kFloats[0]),
                               std::pair(Rotation{true, true, 2, 19, 9}, kFloats[0]),
                               std::pair(Rotation{false, true, 2, 64, 16}, kFloats[1]),
                               std::pair(Rotation{false, true, 5, 32, 16}, kFloats[2]),
                               std::pair(Rotation{true, true, 2, 48, 20}, kFloats[2])}) {
    std::string text = withType(form.source(), element.name);
    DeviceProgram program(text, testedCudaChip());
    Program plain(text, "moec-decompose");
    ASSERT_TRUE(program.valid() && plain.valid()) << text;
    for (int64_t tokens : {0, 1, 21}) {
      std::vector<Array> inputs = form.inputs(random_, element.type, 2, tokens);
      std::vector<Array> results = program.run(inputs);
      ASSERT_EQ(results.size(), 1u);
      EXPECT_TRUE(identical(results[0], plain.run(inputs)[0])) << text;
    }
  }
}

TEST(CudaRopeTest, PositionsOutsideTheCacheAreErrors) {
  Rotation form{false, true, 2, 8, 4};
  for (int64_t position : {-1, 50}) {
    DeviceProgram program(withType(form.source(), "f32"), testedCudaChip());
    ASSERT_TRUE(program.valid());
    std::vector<Array> inputs = form.inputs(random_, MOEC_F32, 1, 3);
    inputs[3].values[1] = position;
    EXPECT_TRUE(program.run(inputs).empty()) << position;
  }
}

} // namespace
