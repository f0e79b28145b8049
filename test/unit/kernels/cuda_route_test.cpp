// Routers by lanes of warps select what their decomposition selects, ties and
// NaNs included, and weigh it like it; a token's bits do not depend on the batch.
#include "test/unit/kernels/device_program.h"
#include "test/unit/kernels/route_cases.h"
#include "test/unit/kernels/typed_program.h"
#include "gtest/gtest.h"

using namespace moec;
using namespace moec::test;

namespace {

std::mt19937 random_{7};

void expectLikeDecomposition(const Router &router, const ElementType &element) {
  std::string text = withType(router.source(), element.name);
  DeviceProgram program(text, testedCudaChip());
  Program plain(text, "moec-decompose");
  ASSERT_TRUE(program.valid() && plain.valid()) << text;
  for (int64_t tokens : {0, 1, 75}) {
    std::vector<Array> operands = router.inputs(random_, tokens, element.type);
    std::vector<Array> results = program.run(operands), expected = plain.run(operands);
    ASSERT_EQ(results.size(), 2u);
    EXPECT_TRUE(identical(results[0], expected[0])) << text;
    EXPECT_LT(difference(results[1], expected[1]), 1e-6) << text;
  }
}

/// Tokens of one warp and of several blocks; experts that no lane is left for,
/// and groups whose last lanes have fewer.
TEST(CudaRouteTest, MatchesTheDecomposition) {
  for (const Router &router : kRouters)
    expectLikeDecomposition(router, kFloats[0]);
}

/// A lane reads 16 bytes, or elements of a number that no unit divides.
TEST(CudaRouteTest, ManyExpertsInGroups) {
  for (const Router &router : kLargeRouters)
    expectLikeDecomposition(router, kFloats[2]);
}

TEST(CudaRouteTest, TiesAndNumbersOfAllKinds) {
  for (const char *attributes :
       {"top_k = 6, score = raw", "top_k = 6, score = raw, ties = higher",
        "top_k = 6, score = raw, ties = higher, groups = 5, kept_groups = 2",
        "top_k = 6, score = raw, groups = 5, kept_groups = 3, group_score = top2_sum"}) {
    std::string text = withType(Router{attributes, 20}.source(), "f32");
    DeviceProgram program(text, testedCudaChip());
    Program plain(text, "moec-decompose");
    ASSERT_TRUE(program.valid() && plain.valid()) << text;
    std::vector<Array> operands{numbersOfAllKinds(random_, {200, 20}), zeros({20}),
                                zeros({200, 20})};
    EXPECT_TRUE(identical(program.run(operands)[0], plain.run(operands)[0])) << text;
  }
}

/// Alone, a token is the first of its warp; in the batch, warps may have four.
TEST(CudaRouteTest, TokensDoNotDependOnTheBatch) {
  for (const Router *router : {&kRouters[0], &kLargeRouters[1]}) {
    DeviceProgram program(withType(router->source(), "f32"), testedCudaChip());
    ASSERT_TRUE(program.valid());
    std::vector<Array> operands = router->inputs(random_, 64, MOEC_F32);
    std::vector<Array> all = program.run(operands);
    for (int64_t token = 0; token < 64; token += 1 + random_() % 9) {
      std::vector<Array> one =
          program.run({rowsOf(operands[0], token, 1), operands[1], rowsOf(operands[2], token, 1)});
      EXPECT_TRUE(identical(one[0], rowsOf(all[0], token, 1))) << token;
      EXPECT_TRUE(identical(one[1], rowsOf(all[1], token, 1))) << token;
    }
  }
}

} // namespace
