#include "test/unit/kernels/combine_cases.h"
#include "test/unit/kernels/mutation/launches.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

/// A part of a block, and more than one.
TEST(CombineLaunches, RowsOfSlots) {
  std::mt19937 random{7};
  for (auto [element, hidden, weights, addend] :
       {std::tuple(kFloats[0], 72, true, false), std::tuple(kFloats[0], 1028, true, true),
        std::tuple(kFloats[1], 72, false, false), std::tuple(kFloats[2], 37, true, true),
        std::tuple(kFloats[2], 520, true, true)}) {
    std::vector<std::vector<Array>> inputs;
    for (int64_t tokens : {1, 9})
      inputs.push_back(combineInputs(random, tokens, hidden, element.type));
    launchSliced(withType(combine(hidden, weights, addend), element.name), "rows", 0, inputs);
  }
}

} // namespace
