// Ranges of addresses are taken where there is room, and never twice.
#include "memory/AddressRanges.h"

#include <gtest/gtest.h>
#include <random>

using vgpu::AddressRanges;

namespace {

TEST(AddressRanges, TakesTheLowest) {
  AddressRanges ranges({100, 200});
  EXPECT_EQ(ranges.take(10, 1), 100u);
  EXPECT_EQ(ranges.take(10, 16), 112u);
  EXPECT_EQ(ranges.take(2, 1), 110u); // between the two
  EXPECT_TRUE(ranges.give(112));
  EXPECT_FALSE(ranges.give(112));
  EXPECT_EQ(ranges.take(11, 1), 112u);
  EXPECT_EQ(ranges.take(78, 1), 0u);
  EXPECT_EQ(ranges.take(77, 1), 123u);
  EXPECT_EQ(ranges.take(1, 1), 0u);
  EXPECT_EQ(ranges.take(0, 1), 0u);
}

TEST(AddressRanges, TakesWhatIsWanted) {
  AddressRanges ranges({100, 200});
  EXPECT_TRUE(ranges.takeAt(150, 10));
  EXPECT_FALSE(ranges.takeAt(141, 10));
  EXPECT_FALSE(ranges.takeAt(159, 1));
  EXPECT_FALSE(ranges.takeAt(155, 2));
  EXPECT_FALSE(ranges.takeAt(99, 2));
  EXPECT_FALSE(ranges.takeAt(199, 2));
  EXPECT_TRUE(ranges.takeAt(140, 10));
  EXPECT_TRUE(ranges.takeAt(160, 40));
}

// Against a mask of all addresses.
TEST(AddressRanges, AreApart) {
  std::mt19937 random{3};
  AddressRanges ranges({64, 320});
  std::map<uint64_t, uint64_t> taken;
  std::vector<bool> isTaken(320);
  for (int step = 0; step < 4000; ++step) {
    if (random() % 3 && !taken.empty()) {
      auto chosen = std::next(taken.begin(), static_cast<long>(random() % taken.size()));
      EXPECT_TRUE(ranges.give(chosen->first));
      std::fill_n(isTaken.begin() + static_cast<long>(chosen->first), chosen->second, false);
      taken.erase(chosen);
      continue;
    }
    uint64_t bytes = 1 + random() % 60, alignment = uint64_t{1} << random() % 6, lowest = 0;
    for (uint64_t begin = 64; begin + bytes <= 320 && !lowest; begin += 1)
      if (begin % alignment == 0 && std::none_of(isTaken.begin() + static_cast<long>(begin),
                                                 isTaken.begin() + static_cast<long>(begin + bytes),
                                                 [](bool is) { return is; }))
        lowest = begin;
    ASSERT_EQ(ranges.take(bytes, alignment), lowest);
    if (!lowest)
      continue;
    taken[lowest] = bytes;
    std::fill_n(isTaken.begin() + static_cast<long>(lowest), bytes, true);
  }
}

} // namespace
