// Buffers that are alive at the same time never overlap, and buffers that are
// not share memory.
#include "passes/memory/ArenaPlan.h"
#include "gtest/gtest.h"
#include <random>
#include <vector>

namespace {

using moec::ArenaBuffer;

bool liveTogether(const ArenaBuffer &a, const ArenaBuffer &b) {
  return a.first <= b.last && b.first <= a.last;
}

TEST(ArenaPlan, LiveBuffersDoNotOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<ArenaBuffer> buffers(1 + random() % 40);
    for (ArenaBuffer &buffer : buffers) {
      buffer.bytes = 64 * (random() % 20);
      buffer.first = random() % 50;
      buffer.last = buffer.first + random() % 10;
    }
    int64_t total = moec::planArena(buffers);
    for (const ArenaBuffer &a : buffers) {
      EXPECT_GE(a.offset, 0);
      EXPECT_LE(a.offset + a.bytes, total);
      for (const ArenaBuffer &b : buffers)
        if (&a != &b && a.bytes && b.bytes && liveTogether(a, b))
          EXPECT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset);
    }
  }
}

TEST(ArenaPlan, AChainNeedsTwoBuffers) {
  std::vector<ArenaBuffer> chain;
  for (int64_t i = 0; i < 10; ++i)
    chain.push_back({128, i, i + 1});
  EXPECT_EQ(moec::planArena(chain), 256);
}

TEST(ArenaPlan, NothingNeedsNothing) { EXPECT_EQ(moec::planArena({}), 0); }

} // namespace
