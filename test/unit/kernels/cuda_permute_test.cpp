// Slots sorted by a block are those of the op's description, whatever their
// number and the share of each expert.
#include "test/unit/kernels/device_program.h"
#include "test/unit/kernels/permute_cases.h"
#include "gtest/gtest.h"

using namespace moec;
using namespace moec::test;

namespace {

void expectSorted(DeviceProgram &program, int64_t experts, const Array &ids) {
  int64_t slots = ids.count(), topK = ids.shape[1];
  Array offsets = zeros({experts + 1}, MOEC_I32), sorted = zeros({slots}, MOEC_I32);
  Array positions = zeros(ids.shape, MOEC_I32);
  int64_t place = 0;
  for (int64_t expert = 0; expert <= experts; ++expert) {
    offsets.at({expert}) = place;
    for (int64_t slot = 0; slot < slots; ++slot) {
      bool isLast = ids.values[slot] < 0 || ids.values[slot] >= experts;
      if (expert == experts ? !isLast : ids.values[slot] != expert)
        continue;
      positions.at({slot / topK, slot % topK}) = isLast ? -1 : place;
      sorted.at({place++}) = slot;
    }
  }
  std::vector<Array> results = program.run({ids});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_TRUE(identical(results[0], offsets)) << slots << " slots";
  EXPECT_TRUE(identical(results[1], sorted)) << slots << " slots";
  EXPECT_TRUE(identical(results[2], positions)) << slots << " slots";
}

TEST(CudaPermuteTest, SlotsAreSortedStably) {
  std::mt19937 random{7};
  for (auto [experts, topK] : {std::pair<int64_t, int64_t>{8, 2}, {257, 8}, {1, 1}}) {
    DeviceProgram program(permute(experts, topK), testedCudaChip());
    ASSERT_TRUE(program.valid());
    // -1 is no expert, and neither is a number past the last.
    for (int64_t tokens : {0, 1, 33, 700, 2100})
      expectSorted(program, experts, randomIntegers(random, {tokens, topK}, -1, experts, MOEC_I32));
    expectSorted(program, experts, zeros({130, topK}, MOEC_I32));
  }
}

} // namespace
