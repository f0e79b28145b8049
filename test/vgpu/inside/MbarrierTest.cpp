// An mbarrier counts arrivals and bytes as PTX says, and misuse has a name.
#include "async/Mbarrier.h"

#include <gtest/gtest.h>

namespace {

using vgpu::Mbarrier;
using vgpu::MbarrierError;
using vgpu::MbarrierToken;

TEST(Mbarrier, PhaseEndsWithTheLastArrival) {
  Mbarrier barrier(3);
  MbarrierToken first = barrier.arrive(1);
  EXPECT_EQ(first.pending(), 3u);
  EXPECT_FALSE(barrier.isOver(first));
  EXPECT_FALSE(barrier.isOver(false));
  EXPECT_TRUE(barrier.isOver(true)); // the phase before the first
  barrier.arrive(2);
  EXPECT_TRUE(barrier.isOver(first));
  EXPECT_TRUE(barrier.isOver(false));
  EXPECT_FALSE(barrier.isOver(true));
  EXPECT_EQ(barrier.pendingArrivals(), 3u);
}

TEST(Mbarrier, PhaseWaitsForBytesToo) {
  Mbarrier barrier(1);
  barrier.expectBytes(256);
  barrier.arrive(1);
  EXPECT_EQ(barrier.phase(), 0u);
  barrier.completeBytes(128);
  EXPECT_EQ(barrier.phase(), 0u);
  barrier.completeBytes(128);
  EXPECT_EQ(barrier.phase(), 1u);
}

// Bytes may complete before anybody expects them.
TEST(Mbarrier, BytesMayComeFirst) {
  Mbarrier barrier(1);
  barrier.completeBytes(64);
  EXPECT_EQ(barrier.pendingBytes(), -64);
  barrier.expectBytes(64);
  EXPECT_EQ(barrier.phase(), 0u);
  barrier.arrive(1);
  EXPECT_EQ(barrier.phase(), 1u);
}

TEST(Mbarrier, DropLowersWhatLaterPhasesExpect) {
  Mbarrier barrier(2);
  barrier.arriveAndDrop(1);
  barrier.arrive(1);
  EXPECT_EQ(barrier.phase(), 1u);
  barrier.arrive(1);
  EXPECT_EQ(barrier.phase(), 2u);
}

TEST(Mbarrier, RaisedPendingCountIsOfOnePhase) {
  Mbarrier barrier(1);
  barrier.raisePending();
  barrier.arrive(1);
  EXPECT_EQ(barrier.phase(), 0u);
  barrier.arrive(1);
  EXPECT_EQ(barrier.phase(), 1u);
  EXPECT_EQ(barrier.pendingArrivals(), 1u);
}

TEST(Mbarrier, MisuseIsAnError) {
  EXPECT_THROW(Mbarrier(0), MbarrierError);
  EXPECT_THROW(Mbarrier(1 << 20), MbarrierError);
  Mbarrier barrier(2);
  EXPECT_THROW(barrier.arrive(3), MbarrierError);
  EXPECT_THROW(barrier.arriveWithoutCompleting(2, false), MbarrierError);
  EXPECT_NO_THROW(barrier.arriveWithoutCompleting(1, false));
  EXPECT_THROW(barrier.expectBytes(1 << 20), MbarrierError);
}

TEST(Mbarrier, TokenOfAnOldPhaseIsAnError) {
  Mbarrier barrier(1);
  MbarrierToken token = barrier.arrive(1);
  EXPECT_TRUE(barrier.isOver(token));
  barrier.arrive(1);
  EXPECT_THROW(barrier.isOver(token), MbarrierError);
}

} // namespace
