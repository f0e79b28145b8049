// Memory that is freed is given to whoever needs as much next; what asks for a value
// has it nevertheless.
#include "memory/Recycled.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace {

using namespace vgpu;

TEST(Recycled, GivesWhatWasFreedToWhoeverNeedsAsMuch) {
  void *first = takeMemory(1000), *second = takeMemory(1000);
  EXPECT_NE(first, second);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 128, 0u);
  giveMemory(first, 1000);
  void *other = takeMemory(1001);
  EXPECT_NE(other, first);
  EXPECT_EQ(takeMemory(1000), first);
  giveMemory(first, 1000);
  giveMemory(second, 1000);
  giveMemory(other, 1001);
}

TEST(Recycled, VectorsHaveTheValuesThatTheyAskFor) {
  {
    RecycledVector<uint16_t> before(500, 0xffff);
  }
  RecycledVector<uint16_t> after(500, 0);
  EXPECT_TRUE(std::all_of(after.begin(), after.end(), [](uint16_t value) { return value == 0; }));
}

} // namespace
