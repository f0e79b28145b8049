// Generated routers select what their decomposition selects, ties and NaNs
// included, and weigh it like it, whatever the batch.
#include "test/unit/kernels/route_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

class RouteTest : public ChipSuite {};

TEST_P(RouteTest, MatchesTheDecomposition) {
  for (const Router &router : kRouters)
    for (const ElementType &element : kFloats) {
      if (element.type != MOEC_F32 && &router != kRouters)
        continue;
      std::string text = withType(router.source(), element.name);
      Program program(text, "", GetParam()), plain(text, "moec-decompose", GetParam());
      ASSERT_TRUE(program.valid() && plain.valid()) << text;
      for (int64_t tokens : {0, 1, 40}) {
        std::vector<Array> operands = router.inputs(random, tokens, element.type);
        std::vector<Array> results = program.run(operands), expected = plain.run(operands);
        EXPECT_TRUE(identical(results[0], expected[0])) << text;
        EXPECT_LT(difference(results[1], expected[1]), 1e-6) << text;
        std::vector<Array> whole = program.run(operands, 1000);
        EXPECT_TRUE(identical(whole[0], results[0]) && identical(whole[1], results[1])) << text;
      }
    }
}

TEST_P(RouteTest, TiesAndNumbersOfAllKinds) {
  for (const char *ties : {"lower", "higher"})
    for (const char *groups : {"", ", groups = 5, kept_groups = 2",
                               ", groups = 5, kept_groups = 3, group_score = top2_sum"}) {
      std::string attributes = llvm::formatv("top_k = 6, score = raw, ties = {0}{1}", ties, groups);
      std::string text = withType(Router{attributes.c_str(), 20}.source(), "f32");
      Program program(text, "", GetParam()), plain(text, "moec-decompose", GetParam());
      ASSERT_TRUE(program.valid() && plain.valid()) << text;
      Array x = numbersOfAllKinds(random, {200, 20});
      std::vector<Array> operands{x, zeros({20}), zeros({200, 20})};
      EXPECT_TRUE(identical(program.run(operands)[0], plain.run(operands)[0])) << text;
    }
}

TEST_P(RouteTest, TokensDoNotDependOnTheBatch) {
  Router router = kRouters[3];
  Program program(withType(router.source(), "f32"), "", GetParam());
  ASSERT_TRUE(program.valid());
  std::vector<Array> operands = router.inputs(random, 64, MOEC_F32);
  Array weights = program.run(operands)[1];
  for (int64_t token = 0; token < 64; token += 1 + random() % 9) {
    Array one = rowsOf(operands[0], token, 1), expected = rowsOf(weights, token, 1);
    EXPECT_TRUE(identical(program.run({one, operands[1], zeros({1, 64})})[1], expected)) << token;
  }
}

MOEC_ON_ALL_CHIPS(RouteTest);

} // namespace
