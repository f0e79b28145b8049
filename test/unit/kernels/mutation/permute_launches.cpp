#include "test/unit/kernels/mutation/launches.h"
#include "test/unit/kernels/permute_cases.h"

using namespace moec;
using namespace moec::test;

namespace {

/// Numbers of slots that fill steps, warps and blocks and others; -1 is no expert, and
/// neither is a number past the last.
TEST(PermuteLaunches, Slots) {
  std::mt19937 random{7};
  for (auto [experts, topK] : {std::pair<int64_t, int64_t>{8, 2}, {257, 8}, {1, 1}}) {
    std::vector<std::vector<Array>> inputs{{zeros({130, topK}, MOEC_I32)}};
    for (int64_t tokens : {0, 1, 33, 700, 2100})
      inputs.push_back({randomIntegers(random, {tokens, topK}, -1, experts, MOEC_I32)});
    launch(permute(experts, topK), inputs);
  }
}

} // namespace
