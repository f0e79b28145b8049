// What is remembered of shared memory by quads of granules says no less and no more
// than what could be remembered of each granule.
#include "check/SharedRaces.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace vgpu {
namespace {

constexpr uint32_t kWarps = 3, kBytes = 1024;

struct Heard : Conflicts {
  void report(const Conflict &) override { ++count; }
  bool isOrdered(Agent) const override { return false; }
  int count = 0;
};

/// The last write of each granule, and the last reads of each warp.
class Granules {
public:
  explicit Granules(uint32_t bytes) : bytes(bytes), memory(kBytes / bytes) {}

  /// Whether the lane knows of all that conflicts.
  bool access(const BlockClocks &clocks, uint32_t warp, uint32_t lane, bool isLoad, uint64_t begin,
              uint64_t end) {
    bool isOrdered = true;
    for (uint64_t granule = (begin - kSharedBase) / bytes; granule * bytes < end - kSharedBase;
         ++granule) {
      Granule &known = memory[granule];
      isOrdered &= follows(clocks, warp, lane, known.writer, known.write);
      for (uint32_t reader = 0; reader < kWarps; ++reader)
        isOrdered &= isLoad || follows(clocks, warp, lane, reader, known.reads[reader]);
      Touch now{clocks.epoch(warp), LaneMask{1} << lane};
      if (!isLoad) {
        known.writer = warp;
        known.write = now;
      } else {
        Touch &read = known.reads[warp];
        if (read.time > clocks.ownKnown(warp))
          now.lanes |= read.lanes;
        read = now;
      }
    }
    return isOrdered;
  }

private:
  struct Touch {
    Time time = 0; ///< 0: none
    LaneMask lanes = 0;
  };
  struct Granule {
    uint32_t writer = 0;
    Touch write, reads[kWarps];
  };

  static bool follows(const BlockClocks &clocks, uint32_t warp, uint32_t lane, uint32_t by,
                      const Touch &earlier) {
    LaneMask others = by == warp ? earlier.lanes & ~(LaneMask{1} << lane) : earlier.lanes;
    return !earlier.time || !others ||
           clocks.of(warp, static_cast<int>(lane)).knows(clocks.agent, by, others, earlier.time);
  }

  const uint32_t bytes;
  std::vector<Granule> memory;
};

/// The seed, and how small granules are.
class SharedRacesAtRandom : public testing::TestWithParam<std::tuple<int, uint32_t>> {
protected:
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(random()) % limit; }

  /// Lanes in order, one address, or addresses at random.
  void place(LaneAccess &access, uint64_t (&addresses)[kWarpSize]) {
    uint32_t pattern = below(5), bytes = access.bytes;
    uint64_t first = kSharedBase + below(kBytes - (kWarpSize + 3) * bytes + 1) / bytes * bytes;
    if (below(2))
      first &= -uint64_t{16};
    for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
      addresses[lane] = first + (pattern == 2 ? 0 : lane * bytes);
      if (pattern == 3)
        addresses[lane] = kSharedBase + below(kBytes / bytes) * bytes;
      if (pattern == 4)
        addresses[lane] += lane / 8 * bytes;
    }
    if (pattern == 1)
      access.lanes = static_cast<LaneMask>(random()) | 1;
    access.runs = pattern == 0 ? 1 : access.lanes;
  }

  static bool touchRows(SharedRaces &races, bool isLoad, const uint64_t (&addresses)[kWarpSize],
                        uint32_t warp, uint32_t line, const BlockClocks &clocks) {
    std::array<uint32_t, kWarpSize> rows;
    std::copy(std::begin(addresses), std::end(addresses), rows.begin());
    if (!isLoad)
      return races.writeRows(rows, warp, line, clocks);
    std::copy(rows.begin(), rows.end(), races.rowsToRead(warp, clocks));
    auto [low, high] = std::minmax_element(rows.begin(), rows.end());
    return races.readRows(kWarpSize, {*low, *high + 16}, warp, line, clocks);
  }

  std::mt19937 random{static_cast<uint32_t>(std::get<0>(GetParam()))};
};

TEST_P(SharedRacesAtRandom, AgreeWithWhatGranulesRemember) {
  uint32_t granuleBytes = std::get<1>(GetParam());
  Epochs epochs;
  BlockClocks clocks(0, epochs, 0, std::vector<LaneMask>(kWarps, kAllLanes));
  SharedRaces races(kBytes, granuleBytes, kWarps);
  Granules granules(granuleBytes);
  int conflicts = 0, atOnce = 0, rowsAtOnce[2] = {};
  for (uint32_t step = 1; step < 3000; ++step) {
    uint32_t warp = below(kWarps), choice = below(6);
    if (choice == 0)
      clocks.warpSync(warp, kAllLanes);
    if (choice <= 2 && choice > 0) { // by all warps, or by all but one
      for (uint32_t each = 0; each < kWarps; ++each)
        if (choice == 1 || each != warp)
          clocks.barrierArrive(each, kAllLanes, 0, true);
      clocks.barrierComplete(0);
    }
    uint64_t addresses[kWarpSize];
    bool isLoad = below(3) != 0;
    LaneAccess access{isLoad ? AccessKind::Load : AccessKind::Store,
                      Order::Weak,
                      Scope::None,
                      false,
                      granuleBytes
                          << below(5 - static_cast<uint32_t>(std::countr_zero(granuleBytes))),
                      kAllLanes,
                      addresses};
    place(access, addresses);
    bool isOrdered = true;
    for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
      auto lane = static_cast<uint32_t>(std::countr_zero(rest));
      isOrdered &= granules.access(clocks, warp, lane, isLoad, addresses[lane],
                                   addresses[lane] + access.bytes);
    }
    conflicts += !isOrdered;
    Heard heard;
    // What the interpreter asks first is asked first.
    bool isDone =
        access.isContiguous() && races.touch(static_cast<uint32_t>(addresses[0]), access.bytes,
                                             access.kind, warp, step, clocks);
    atOnce += isDone;
    if (!isDone && access.bytes == 16 && access.lanes == kAllLanes) {
      isDone = touchRows(races, isLoad, addresses, warp, step, clocks);
      rowsAtOnce[isLoad] += isDone;
    }
    if (!isDone)
      races.access(access, warp, step, clocks, heard);
    ASSERT_EQ(heard.count == 0, isOrdered) << "step " << step;
  }
  EXPECT_GT(conflicts, 100);
  EXPECT_GT(atOnce, 100);
  EXPECT_GT(rowsAtOnce[true], 10);
  EXPECT_GT(rowsAtOnce[false], 1);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SharedRacesAtRandom,
                         testing::Combine(testing::Range(0, 8), testing::Values(1u, 2u, 4u)));

} // namespace
} // namespace vgpu
