// The generated sort gives what the op's decomposition gives, for any number of
// tokens and for ids that are no expert.
#include "test/unit/dialects/program.h"
#include "test/unit/kernels/chip_suite.h"

using namespace moec;
using namespace moec::test;

namespace {

const char *const kSource = R"mlir(
  func.func @main(%ids: tensor<?x3xi32>) -> (tensor<6xi32>, tensor<?xi32>, tensor<?x3xi32>) {
    %offsets, %slots, %positions = moe.permute %ids {experts = 5}
         : tensor<?x3xi32> -> tensor<6xi32>, tensor<?xi32>, tensor<?x3xi32>
    return %offsets, %slots, %positions : tensor<6xi32>, tensor<?xi32>, tensor<?x3xi32>
  })mlir";

class PermuteTest : public ChipSuite {};

TEST_P(PermuteTest, MatchesTheDecomposition) {
  Program program(kSource, "", GetParam()), plain(kSource, "moec-decompose", GetParam());
  ASSERT_TRUE(program.valid() && plain.valid());
  for (int64_t tokens : {0, 1, 2, 77}) {
    Array ids = randomIntegers(random, {tokens, 3}, -2, 7, MOEC_I32);
    std::vector<Array> results = program.run({ids}), expected = plain.run({ids});
    ASSERT_EQ(results.size(), expected.size());
    for (size_t i = 0; i < results.size(); ++i)
      EXPECT_TRUE(identical(results[i], expected[i])) << tokens << " tokens, result " << i;
  }
}

MOEC_ON_ALL_CHIPS(PermuteTest);

} // namespace
