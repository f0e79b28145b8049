#include "test/unit/kernels/mutation/launches.h"
#include "test/unit/kernels/route_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

class RouteLaunches : public testing::Test {
protected:
  void route(const Router &router, const ElementType &element) {
    std::vector<std::vector<Array>> inputs;
    for (int64_t tokens : {1, 75, 300})
      inputs.push_back(closeCalls(router.inputs(random, tokens, element.type)));
    launchSliced(withType(router.source(), element.name), "x", 0, inputs);
  }

  /// A bias that does not decide alone; tokens at last that have but one expert, or
  /// none, that is not worse than all.
  static std::vector<Array> closeCalls(std::vector<Array> inputs) {
    for (double &value : inputs[1].values)
      value /= 16;
    Array &logits = inputs[0];
    int64_t tokens = logits.shape[0], experts = logits.shape[1];
    for (int64_t token = std::max<int64_t>(1, tokens - 8); token < tokens; ++token)
      for (int64_t expert = token % 2; expert < experts; ++expert)
        logits.at({token, expert}) = token % 4 < 2 ? -INFINITY : NAN;
    return inputs;
  }
  std::mt19937 random{7};
};

/// Tokens of one warp and of several blocks; experts that no lane is left for, and
/// groups whose last lanes have fewer.
TEST_F(RouteLaunches, Routers) {
  for (const Router &router : kRouters)
    route(router, kFloats[0]);
}
TEST_F(RouteLaunches, ManyExperts) {
  for (const Router &router : kLargeRouters)
    route(router, kFloats[2]);
}
TEST_F(RouteLaunches, Ties) {
  for (const char *attributes : {"top_k = 6, score = raw", "top_k = 6, score = raw, ties = higher, "
                                                           "groups = 5, kept_groups = 2"})
    launch(withType(Router{attributes, 20}.source(), "f32"),
           {{numbersOfAllKinds(random, {200, 20}), zeros({20}), zeros({200, 20})}});
}

} // namespace
