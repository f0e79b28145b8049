#include "test/unit/kernels/mutation/launches.h"
#include "test/unit/kernels/rope_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

/// Whole units, parts of them, and dimensions that pass through.
TEST(RopeLaunches, Rotations) {
  std::mt19937 random{7};
  for (auto [form, element] : {std::pair(Rotation{false, true, 3, 64, 32}, kFloats[0]),
                               std::pair(Rotation{true, false, 3, 64, 32}, kFloats[0]),
                               std::pair(Rotation{false, false, 1, 20, 7}, kFloats[0]),
                               std::pair(Rotation{true, true, 2, 50, 9}, kFloats[0]),
                               std::pair(Rotation{false, true, 2, 64, 16}, kFloats[1]),
                               std::pair(Rotation{false, true, 5, 32, 16}, kFloats[2]),
                               std::pair(Rotation{true, true, 2, 48, 20}, kFloats[2])}) {
    std::vector<std::vector<Array>> inputs;
    for (int64_t tokens : {1, 21})
      inputs.push_back(form.inputs(random, element.type, 2, tokens));
    launchSliced(withType(form.source(), element.name), "x", 0, inputs);
  }
}

} // namespace
