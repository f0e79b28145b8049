// The model of the second-level cache keeps what was used last, and moves
// sectors, not lines.
#include "count/CacheModel.h"

#include <gtest/gtest.h>

namespace {

using vgpu::CacheModel;

constexpr uint64_t kMegabyte = 1 << 20;

void read(CacheModel &cache, uint64_t bytes) {
  for (uint64_t line = 0; line < bytes / CacheModel::kLineBytes; ++line)
    cache.access(line, 0xf, false);
}

TEST(CacheModel, WhatFitsIsReadOnce) {
  CacheModel cache(2 * kMegabyte);
  read(cache, 2 * kMegabyte);
  read(cache, 2 * kMegabyte);
  EXPECT_EQ(cache.readBytes, 4 * kMegabyte);
  EXPECT_EQ(cache.dramReadBytes, 2 * kMegabyte);
}

// Least recently used, so going round in what does not fit never hits.
TEST(CacheModel, WhatDoesNotFitIsReadAgain) {
  CacheModel cache(2 * kMegabyte);
  read(cache, 3 * kMegabyte);
  read(cache, 3 * kMegabyte);
  EXPECT_EQ(cache.dramReadBytes, 6 * kMegabyte);
}

// Many blocks that each go through a part of a matrix of 1 MB do not evict each other.
TEST(CacheModel, PowersOfTwoApartAreInDifferentSets) {
  CacheModel cache(32 * kMegabyte);
  for (int time = 0; time < 2; ++time)
    for (uint64_t part = 0; part < 54; ++part)
      cache.access(part * kMegabyte / CacheModel::kLineBytes, 0xf, false);
  EXPECT_EQ(cache.dramReadBytes, 54u * CacheModel::kLineBytes);
}

// One set has 16 ways: the 17th line evicts the one that was used longest ago.
TEST(CacheModel, TheWaysAreSixteen) {
  CacheModel cache(CacheModel::kLineBytes * CacheModel::kWays);
  for (uint64_t line = 0; line < 16; ++line)
    cache.access(line, 1, false);
  cache.access(0, 1, false);
  cache.access(16, 1, false); // evicts line 1
  EXPECT_EQ(cache.dramReadBytes, 17 * 32);
  cache.access(0, 1, false);
  EXPECT_EQ(cache.dramReadBytes, 17 * 32);
  cache.access(1, 1, false);
  EXPECT_EQ(cache.dramReadBytes, 18 * 32);
}

TEST(CacheModel, SectorsAreFetchedAndWrittenBackOneByOne) {
  CacheModel cache(CacheModel::kLineBytes * CacheModel::kWays);
  cache.access(0, 0b0001, false);
  cache.access(0, 0b0011, false);
  EXPECT_EQ(cache.dramReadBytes, 2 * 32);
  cache.access(0, 0b1100, true);
  EXPECT_EQ(cache.dramReadBytes, 2 * 32); // what is written is not fetched
  EXPECT_EQ(cache.dramWriteBytes, 0u);
  for (uint64_t line = 1; line <= 16; ++line)
    cache.access(line, 1, false);
  EXPECT_EQ(cache.dramWriteBytes, 2 * 32); // evicted
  cache.access(20, 0b1111, true);
  cache.flush();
  EXPECT_EQ(cache.dramWriteBytes, (2 + 4) * 32);
}

} // namespace
