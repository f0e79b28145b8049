// Generated routers select what their decomposition selects, ties and NaNs
// included, and weigh it like it, whatever the batch.
#include "test/unit/kernels/typed_program.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace moec;
using namespace moec::test;

namespace {

struct Router {
  const char *attributes;
  int64_t experts;
  bool bias = false, values = false;

  std::string source() const {
    return llvm::formatv(
               R"mlir(
      func.func @main(%x: tensor<?x{0}x!T>, %b: tensor<{0}xf32>, %v: tensor<?x{0}xf32>) -> (tensor<?x?xi32>, tensor<?x?xf32>) {{
        %ids, %w = moe.route %x {1} {2} {{router = #moe.router<{3}>} : tensor<?x{0}x!T> -> tensor<?x?xi32>, tensor<?x?xf32>
        return %ids, %w : tensor<?x?xi32>, tensor<?x?xf32>
      })mlir",
               experts,
               bias ? llvm::formatv("selection_bias(%b : tensor<{0}xf32>)", experts).str() : "",
               values ? llvm::formatv("values(%v : tensor<?x{0}xf32>)", experts).str() : "",
               attributes)
        .str();
  }
};

constexpr Router kRouters[] = {
    {"top_k = 2, normalize = sum", 8},
    {"top_k = 4, score = raw, normalize = softmax, ties = higher", 37},
    {"top_k = 1, score = raw, normalize = sigmoid", 16},
    {"top_k = 8, score = sigmoid, groups = 8, kept_groups = 4, group_score = top2_sum, normalize = "
     "sum, epsilon = 1.0e-20, scale = 2.5",
     64, true},
    {"top_k = 3, groups = 3, kept_groups = 2, masked = zero, min_weight = 0.05", 21, true, true},
    {"top_k = 2, score = sparse_mixer, jitter = 0.25", 19},
};

class RouteTest : public ChipSuite {
protected:
  std::vector<Array> inputs(const Router &router, int64_t tokens, moec_element_type type) {
    return {randomArray(random, {tokens, router.experts}, type),
            randomArray(random, {router.experts}), randomArray(random, {tokens, router.experts})};
  }
};

TEST_P(RouteTest, MatchesTheDecomposition) {
  for (const Router &router : kRouters)
    for (const ElementType &element : kFloats) {
      if (element.type != MOEC_F32 && &router != kRouters)
        continue;
      std::string text = withType(router.source(), element.name);
      Program program(text, "", GetParam()), plain(text, "moec-decompose", GetParam());
      ASSERT_TRUE(program.valid() && plain.valid()) << text;
      for (int64_t tokens : {0, 1, 40}) {
        std::vector<Array> operands = inputs(router, tokens, element.type);
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
      Array x = randomIntegers(random, {200, 20}, -2, 2, MOEC_F32);
      for (double &value : x.values)
        switch (random() % 12) {
        case 0:
          value = NAN;
          break;
        case 1:
          value = random() % 2 ? INFINITY : -INFINITY;
          break;
        case 2:
          value = -0.0;
        }
      std::vector<Array> operands{x, zeros({20}), zeros({200, 20})};
      EXPECT_TRUE(identical(program.run(operands)[0], plain.run(operands)[0])) << text;
    }
}

TEST_P(RouteTest, TokensDoNotDependOnTheBatch) {
  Router router = kRouters[3];
  Program program(withType(router.source(), "f32"), "", GetParam());
  ASSERT_TRUE(program.valid());
  std::vector<Array> operands = inputs(router, 64, MOEC_F32);
  Array weights = program.run(operands)[1];
  for (int64_t token = 0; token < 64; token += 1 + random() % 9) {
    Array one{MOEC_F32, {1, 64}, {}};
    one.values.assign(operands[0].values.begin() + token * 64,
                      operands[0].values.begin() + (token + 1) * 64);
    Array expected{MOEC_F32, {1, 8}, {}};
    expected.values.assign(weights.values.begin() + token * 8,
                           weights.values.begin() + (token + 1) * 8);
    EXPECT_TRUE(identical(program.run({one, operands[1], zeros({1, 64})})[1], expected)) << token;
  }
}

MOEC_ON_ALL_CHIPS(RouteTest);

} // namespace
