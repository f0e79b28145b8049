// What is remembered of global memory by cells says no less and no more than what
// could be remembered of each byte.
#include "check/GlobalRaces.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>

namespace vgpu {
namespace {

constexpr uint32_t kWarps = 2;
/// Around the end of a page.
constexpr uint64_t kBase = 0x2000'0001'0000 - 512, kBytes = 1024;

struct Heard : Conflicts {
  void report(const Conflict &conflict) override { conflicts.push_back(conflict); }
  bool isOrdered(Agent) const override { return false; }
  std::vector<Conflict> conflicts;
};

/// Accesses, one lane after the other, and for each byte the last write and the
/// last two reads by different warps since.
class Bytes {
public:
  /// Whether the lane knows of all that is remembered of the bytes and conflicts.
  bool access(const BlockClocks &clocks, uint32_t warp, uint32_t lane, bool isLoad,
              uint64_t address, uint32_t bytes) {
    bool isOrdered = true;
    for (uint64_t byte = address; byte < address + bytes; ++byte) {
      Byte &known = memory[byte];
      Touch now{clocks.agent, warp, clocks.epoch(warp), LaneMask{1} << lane};
      isOrdered &= follows(clocks, now, known.write);
      for (const Touch &read : known.reads)
        isOrdered &= isLoad || follows(clocks, now, read);
      if (!isLoad)
        known = {now, {}};
      else
        remember(clocks, known.reads, now);
    }
    return isOrdered;
  }

private:
  struct Touch {
    Agent agent = 0;
    uint32_t warp = 0;
    Time time = 0; ///< 0: none
    LaneMask lanes = 0;
  };
  struct Byte {
    Touch write, reads[2];
  };

  static bool follows(const BlockClocks &clocks, const Touch &now, const Touch &earlier) {
    bool isOwn = earlier.agent == now.agent && earlier.warp == now.warp;
    LaneMask others = isOwn ? earlier.lanes & ~now.lanes : earlier.lanes;
    int lane = std::countr_zero(now.lanes);
    return earlier.time <= clocks.start || !others ||
           clocks.of(now.warp, lane).knows(earlier.agent, earlier.warp, others, earlier.time);
  }
  static void remember(const BlockClocks &clocks, Touch (&reads)[2], Touch now) {
    bool isOwn = reads[0].agent == now.agent && reads[0].warp == now.warp;
    if (reads[0].time > clocks.start && !isOwn)
      reads[1] = reads[0];
    if (isOwn && reads[0].time > clocks.ownKnown(now.warp))
      now.lanes |= reads[0].lanes;
    reads[0] = now;
  }

  std::map<uint64_t, Byte> memory;
};

/// Blocks of launches that come one after the other.
class GlobalRacesTest : public testing::Test {
protected:
  void beginLaunch() {
    Time start = epochs.now();
    epochs.tick();
    blocks.clear();
    for (int block = 0; block < 2; ++block)
      blocks.push_back(std::make_unique<BlockClocks>(agents++, epochs, start,
                                                     std::vector<LaneMask>(kWarps, kAllLanes)));
  }
  void barrier(BlockClocks &clocks) {
    for (uint32_t warp = 0; warp < kWarps; ++warp)
      clocks.barrierArrive(warp, kAllLanes, 0, true);
    clocks.barrierComplete(0);
  }
  /// Returns whether nothing was reported. What the interpreter asks first is asked first.
  bool access(const BlockClocks &clocks, uint32_t warp, const LaneAccess &access) {
    ++line;
    return again(clocks, warp, access);
  }
  /// By the same instruction as the last access.
  bool again(const BlockClocks &clocks, uint32_t warp, const LaneAccess &access) {
    Heard heard;
    if (!isUsual(clocks, warp, access))
      races.access(access, {clocks, warp, line, &heard});
    return heard.conflicts.empty();
  }

  bool isUsual(const BlockClocks &clocks, uint32_t warp, const LaneAccess &access) {
    bool isLoad = access.kind == AccessKind::Load;
    if (access.isContiguous())
      return isLoad ? touchInOrder<AccessKind::Load>(clocks, warp, access)
                    : touchInOrder<AccessKind::Store>(clocks, warp, access);
    return !isLoad && access.lanes == kAllLanes &&
           races.storeRuns(races.regionOf(line, access.addresses[0]), access.addresses, access.runs,
                           access.bytes, {clocks, warp, line});
  }
  template <AccessKind kind>
  bool touchInOrder(const BlockClocks &clocks, uint32_t warp, const LaneAccess &access) {
    uint64_t first = access.addresses[0];
    return races.touchInOrder<kind>(races.regionOf(line, first), first, access.bytes,
                                    {clocks, warp, line});
  }

  uint32_t line = 0; ///< an own one of each access: a race of two lines is reported once
  Epochs epochs;
  DeviceMemory memory{0, 1 << 20};
  const uint64_t first = memory.allocate(1 << 17, MemoryKind::Device); ///< all that is used
  GlobalRaces races{epochs, memory};
  Agent agents = 0;
  std::vector<std::unique_ptr<BlockClocks>> blocks;
};

class GlobalRacesAtRandom : public GlobalRacesTest, public testing::WithParamInterface<int> {
protected:
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(random()) % limit; }

  /// Lanes in order, rows of them, one address, or addresses at random.
  void place(LaneAccess &access, uint64_t (&addresses)[kWarpSize]) {
    uint32_t pattern = below(5), bytes = access.bytes, row = 1u << below(5);
    uint64_t first = kBase + below(kBytes - kWarpSize * bytes) / bytes * bytes;
    if (below(2))
      first &= -uint64_t{std::min(kWarpSize * bytes, 128u)};
    uint64_t stride = (1 + below(3)) * row * bytes;
    for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
      addresses[lane] = first + lane * bytes;
      if (pattern == 2)
        addresses[lane] = first + (lane / row * stride + lane % row * bytes) % (kWarpSize * bytes);
      if (pattern == 3)
        addresses[lane] = first;
      if (pattern == 4)
        addresses[lane] = kBase + below(kBytes / bytes) * bytes;
    }
    if (pattern == 1)
      access.lanes = static_cast<LaneMask>(random()) | 1;
    access.runs = access.lanes;
    for (uint32_t lane = 1; lane < kWarpSize; ++lane)
      if (access.lanes >> (lane - 1) & access.lanes >> lane & 1 &&
          addresses[lane] == addresses[lane - 1] + bytes)
        access.runs &= ~(LaneMask{1} << lane);
  }

  std::mt19937 random{static_cast<uint32_t>(GetParam())};
};

TEST_P(GlobalRacesAtRandom, AgreeWithWhatBytesRemember) {
  Bytes bytes;
  int conflicts = 0;
  for (int step = 0; step < 4000; ++step) {
    if (step % 500 == 0)
      beginLaunch();
    bool onlyReads = step / 500 % 2 && step % 500 < 400;
    BlockClocks &clocks = *blocks[below(8) == 0];
    uint32_t warp = below(kWarps);
    if (below(4) == 0) {
      below(2) ? barrier(clocks) : clocks.warpSync(warp, kAllLanes);
      continue;
    }
    uint64_t addresses[kWarpSize];
    bool isLoad = below(3) != 0 || onlyReads;
    LaneAccess now{isLoad ? AccessKind::Load : AccessKind::Store,
                   Order::Weak,
                   Scope::None,
                   false,
                   1u << below(5),
                   kAllLanes,
                   addresses};
    place(now, addresses);
    AddressGroups together{1, {0}, {now.lanes}};
    if (std::all_of(addresses, addresses + kWarpSize,
                    [&](uint64_t address) { return address == addresses[0]; }))
      now.groups = &together;
    bool isOrdered = true;
    for (LaneMask rest = now.lanes; rest; rest &= rest - 1) {
      auto lane = static_cast<uint32_t>(std::countr_zero(rest));
      isOrdered &= bytes.access(clocks, warp, lane, isLoad, addresses[lane], now.bytes);
    }
    conflicts += !isOrdered;
    ASSERT_EQ(access(clocks, warp, now), isOrdered) << "step " << step;
    if (isOrdered)
      ASSERT_TRUE(again(clocks, warp, now)) << "step " << step;
  }
  EXPECT_GT(conflicts, 100);
}

INSTANTIATE_TEST_SUITE_P(Seeds, GlobalRacesAtRandom, testing::Range(0, 8));

// However many lines it has, a bulk copy is its issuer's alone.
TEST_F(GlobalRacesTest, ABulkCopyIsOneLane) {
  beginLaunch();
  const BlockClocks &clocks = *blocks[0];
  uint64_t addresses[kWarpSize] = {};
  auto laneDoes = [&](int lane, AccessKind kind, uint64_t address, uint32_t bytes) {
    addresses[lane] = address;
    return LaneAccess{kind, Order::Weak, Scope::None, false, bytes, LaneMask{1} << lane, addresses};
  };
  Heard heard;
  races.accessPieces(laneDoes(3, AccessKind::Store, 0, 0), 3, {{0, 1024, kBase}},
                     {clocks, 0, line, &heard});
  ASSERT_TRUE(heard.conflicts.empty());
  EXPECT_TRUE(access(clocks, 0, laneDoes(3, AccessKind::Load, kBase + 256, 4)));
  EXPECT_FALSE(access(clocks, 0, laneDoes(5, AccessKind::Load, kBase + 256, 4)));
}

// --- Reads that are only logged.

class LoggedReads : public GlobalRacesTest {
protected:
  LoggedReads() { beginLaunch(); }
  /// All lanes, each 16 bytes behind the one before.
  LaneAccess scattered(uint64_t first = kBase) {
    for (uint32_t lane = 0; lane < kWarpSize; ++lane)
      addresses[lane] = first + 16 * lane;
    return {AccessKind::Load, Order::Weak, Scope::None, false, 4, kAllLanes, addresses};
  }
  LaneAccess ofLane(int lane, AccessKind kind, uint64_t address, uint32_t bytes = 4) {
    addresses[lane] = address;
    Order order = kind == AccessKind::Atomic ? Order::Relaxed : Order::Weak;
    return {kind, order, Scope::Device, false, bytes, LaneMask{1} << lane, addresses};
  }
  bool isLogged() { return !races.regionOf(line, kBase).reads.isEmpty(); }
  /// What a store of 4 bytes, or something else, by the other block conflicts with.
  std::vector<Conflict> conflictsAt(uint64_t address, AccessKind kind = AccessKind::Store) {
    Heard heard;
    races.access(ofLane(9, kind, address), {*blocks[1], 0, ++line, &heard});
    return heard.conflicts;
  }
  void expectLane(const std::vector<Conflict> &conflicts, uint32_t lane) {
    ASSERT_EQ(conflicts.size(), 1u);
    EXPECT_EQ(conflicts[0].otherAgent, blocks[0]->agent);
    EXPECT_EQ(conflicts[0].otherWarp, 1u);
    EXPECT_EQ(conflicts[0].otherLine, readLine);
    EXPECT_EQ(conflicts[0].otherLanes, LaneMask{1} << lane);
    EXPECT_FALSE(conflicts[0].otherWrites);
  }

  uint64_t addresses[kWarpSize] = {};
  const uint32_t readLine = 1;
};

TEST_F(LoggedReads, AreKnownToStoresAndAtomics) {
  for (AccessKind kind : {AccessKind::Store, AccessKind::Atomic}) {
    line = 0;
    ASSERT_TRUE(access(*blocks[0], 1, scattered()));
    ASSERT_TRUE(isLogged());
    expectLane(conflictsAt(kBase + 7 * 16, kind), 7);
    EXPECT_FALSE(isLogged());
    EXPECT_TRUE(conflictsAt(kBase + 7 * 16 + 4).empty());
    beginLaunch();
  }
}

TEST_F(LoggedReads, AreKnownToStoresOfAllLanes) {
  ASSERT_TRUE(access(*blocks[0], 1, scattered()));
  for (uint32_t lane = 0; lane < kWarpSize; ++lane)
    addresses[lane] = kBase + 4 * lane;
  LaneAccess store{AccessKind::Store, Order::Weak, Scope::None, false, 4, kAllLanes, addresses};
  store.runs = 1;
  EXPECT_FALSE(access(*blocks[1], 0, store));
}

TEST_F(LoggedReads, AreKnownToBulkCopies) {
  ASSERT_TRUE(access(*blocks[0], 1, scattered()));
  Heard heard;
  races.accessPieces(ofLane(0, AccessKind::Store, 0), 0, {{0, 16, kBase + 30 * 16}},
                     {*blocks[1], 0, ++line, &heard});
  expectLane(heard.conflicts, 30);
}

TEST_F(LoggedReads, MayBeBulkCopies) {
  Heard heard;
  BulkPieces rows; // more than an entry of the log has, the last of another size
  for (uint32_t row = 0; row < 40; ++row)
    rows.push_back({0, row < 39 ? 64u : 32u, kBase + 128 * row});
  races.accessPieces(ofLane(3, AccessKind::Load, 0), 3, rows, {*blocks[0], 1, ++line, &heard});
  ASSERT_TRUE(isLogged());
  for (uint32_t row = 0; row < 40; ++row) {
    uint64_t begin = kBase + 128 * row, end = begin + (row < 39 ? 64 : 32);
    expectLane(conflictsAt(end - 4), 3);
    EXPECT_TRUE(conflictsAt(end).empty());
  }
}

TEST_F(LoggedReads, MayBeOfOneAddress) {
  LaneAccess load = scattered();
  std::fill(addresses, addresses + kWarpSize, kBase);
  AddressGroups together{1, {0}, {kAllLanes}};
  load.groups = &together;
  ASSERT_TRUE(access(*blocks[0], 1, load));
  ASSERT_TRUE(isLogged());
  std::vector<Conflict> conflicts = conflictsAt(kBase);
  ASSERT_EQ(conflicts.size(), 1u);
  EXPECT_EQ(conflicts[0].otherLanes, kAllLanes);
}

// The last two readers are the last two, whoever was logged.
TEST_F(LoggedReads, KeepTheirOrder) {
  ASSERT_TRUE(access(*blocks[0], 1, scattered()));
  LaneAccess load = scattered();
  load.lanes = load.runs = 1;
  ASSERT_TRUE(access(*blocks[1], 1, load)); // in the same log
  EXPECT_TRUE(isLogged());
  load.order = Order::Relaxed;
  load.scope = Scope::Device;
  ASSERT_TRUE(access(*blocks[1], 0, load)); // not in it
  EXPECT_FALSE(isLogged());
  EXPECT_TRUE(conflictsAt(kBase, AccessKind::Load).empty());
  Heard heard;
  races.access(ofLane(9, AccessKind::Store, kBase), {*blocks[0], 0, ++line, &heard});
  ASSERT_EQ(heard.conflicts.size(), 1u);
  EXPECT_EQ(heard.conflicts[0].otherAgent, blocks[1]->agent);
  EXPECT_EQ(heard.conflicts[0].otherWarp, 0u);
}

// However small logs may be, nothing is lost.
TEST_F(LoggedReads, AreAppliedWhereThereAreMany) {
  GlobalRaces small(epochs, memory, 0);
  Heard heard;
  small.access(scattered(), {*blocks[0], 1, readLine, &heard});
  for (uint32_t count = 0; count < 2 * LogPieces::kWords / kWarpSize; ++count)
    small.access(scattered(kBase + 512), {*blocks[0], 1, 2, &heard});
  small.access(ofLane(9, AccessKind::Store, kBase + 16), {*blocks[1], 0, 3, &heard});
  expectLane(heard.conflicts, 1);
}

TEST_F(LoggedReads, AreForgottenOnceEverythingComesAfter) {
  ASSERT_TRUE(access(*blocks[0], 1, scattered()));
  races.forget(blocks[0]->start);
  EXPECT_TRUE(isLogged());
  races.forget(epochs.now());
  EXPECT_FALSE(isLogged());
  ASSERT_TRUE(access(*blocks[0], 1, scattered()));
  races.clear();
  EXPECT_FALSE(isLogged());
}

// To what a launch wrote, the next one writes again: nothing before is in doubt.
TEST_F(LoggedReads, AreThoseOfMemoryThatIsNotWritten) {
  ASSERT_TRUE(conflictsAt(kBase + 1000).empty());
  ASSERT_TRUE(access(*blocks[0], 1, scattered()));
  EXPECT_FALSE(isLogged());
  beginLaunch();
  ASSERT_TRUE(access(*blocks[0], 1, scattered()));
  EXPECT_TRUE(isLogged());
}

TEST_F(LoggedReads, OutliveTheHostsRegistrations) {
  const uint64_t host = 0x1000'0000;
  ASSERT_TRUE(memory.registerHost(host, 1024));
  ASSERT_TRUE(access(*blocks[0], 1, scattered(host)));
  ASSERT_TRUE(memory.unregisterHost(host));
  ASSERT_TRUE(memory.registerHost(host - 64, 2048));
  expectLane(conflictsAt(host + 16), 1);
}

// Lanes in two allocations.
TEST_F(LoggedReads, AreOfOneAllocation) {
  uint64_t other = memory.allocate(256, MemoryKind::Device);
  LaneAccess load = scattered();
  ASSERT_TRUE(access(*blocks[0], 1, load));
  addresses[31] = other;
  line = 0;
  ASSERT_TRUE(access(*blocks[0], 1, load));
  EXPECT_FALSE(isLogged());
  expectLane(conflictsAt(other), 31);
}

// --- What has been written

TEST(GlobalRegions, KnowHowFarTheyAreWritten) {
  DeviceMemory memory(0, 1 << 20);
  uint64_t first = memory.allocate(1000, MemoryKind::Device);
  uint64_t unwritten = memory.allocate(1000, MemoryKind::Device);
  GlobalRegions regions(memory, [](GlobalRegion &) {});
  auto writtenBytes = [&] {
    GlobalRegion &region = regions.of(0, first + 500);
    regions.lookForWritten(region);
    return region.writtenEnd - first;
  };
  EXPECT_EQ(writtenBytes(), 0u);
  memory.markInitialized(first, 100);
  memory.markInitialized(first + 101, 899);
  EXPECT_EQ(writtenBytes(), 100u);
  memory.markInitialized(first + 100, 1);
  EXPECT_EQ(writtenBytes(), 1000u);
  memory.copyInitialized(first + 200, first + 300, 64);
  EXPECT_EQ(writtenBytes(), 1000u);
  memory.copyInitialized(first + 200, unwritten, 64);
  EXPECT_EQ(writtenBytes(), 200u);
  memory.markInitialized(first, 1000);
  EXPECT_EQ(writtenBytes(), 1000u);
  memory.clearInitialized(first + 256, 128);
  EXPECT_EQ(writtenBytes(), 256u);
}

} // namespace
} // namespace vgpu
