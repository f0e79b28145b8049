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
    bool isDone = access.isContiguous() &&
                  (access.kind == AccessKind::Load
                       ? races.touchInOrder<AccessKind::Load>(access.addresses[0], access.bytes,
                                                              {clocks, warp, line})
                       : races.touchInOrder<AccessKind::Store>(access.addresses[0], access.bytes,
                                                               {clocks, warp, line}));
    if (!isDone)
      races.access(access, {clocks, warp, line, &heard});
    return heard.conflicts.empty();
  }

  uint32_t line = 0; ///< an own one of each access: a race of two lines is reported once
  Epochs epochs;
  GlobalRaces races{epochs};
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
  for (int step = 0; step < 3000; ++step) {
    if (step % 500 == 0)
      beginLaunch();
    BlockClocks &clocks = *blocks[below(8) == 0];
    uint32_t warp = below(kWarps);
    if (below(4) == 0) {
      below(2) ? barrier(clocks) : clocks.warpSync(warp, kAllLanes);
      continue;
    }
    uint64_t addresses[kWarpSize];
    bool isLoad = below(3) != 0;
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
  races.accessRange(laneDoes(3, AccessKind::Store, kBase, 1024), 3, {clocks, 0, line, &heard});
  ASSERT_TRUE(heard.conflicts.empty());
  EXPECT_TRUE(access(clocks, 0, laneDoes(3, AccessKind::Load, kBase + 256, 4)));
  EXPECT_FALSE(access(clocks, 0, laneDoes(5, AccessKind::Load, kBase + 256, 4)));
}

} // namespace
} // namespace vgpu
