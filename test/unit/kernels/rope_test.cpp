// Generated rotary embeddings are bit for bit what their decomposition computes.
#include "test/unit/kernels/rope_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

class RopeTest : public ChipSuite {};

TEST_P(RopeTest, MatchesDoubleAndTheDecompositionsBits) {
  // Whole vectors, parts of them, and dimensions that pass through.
  for (bool interleaved : {false, true})
    for (bool positions : {false, true})
      for (auto [heads, depth, pairs] :
           {std::tuple(3, 64, 32), std::tuple(1, 20, 7), std::tuple(2, 50, 9)}) {
        Rotation form{interleaved, positions, heads, depth, pairs};
        Program program(withType(form.source(), "f32"), "", GetParam());
        Program plain(withType(form.source(), "f32"), "moec-decompose", GetParam());
        std::vector<Array> inputs = form.inputs(random, MOEC_F32, 2, 5);
        expectLikeDouble(program, form.source(), inputs, 1e-6);
        ASSERT_TRUE(plain.valid());
        EXPECT_TRUE(identical(program.run(inputs)[0], plain.run(inputs)[0])) << form.source();
      }
}

TEST_P(RopeTest, NarrowElementTypes) {
  Rotation form{true, true, 2, 40, 19};
  for (const ElementType &element : kFloats) {
    Program program(withType(form.source(), element.name), "", GetParam());
    expectLikeDouble(program, form.source(), form.inputs(random, element.type, 3, 4),
                     element.threshold);
  }
}

TEST_P(RopeTest, PositionsOutsideTheCacheAreErrors) {
  Rotation form{false, true, 2, 8, 4};
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
