#pragma once
// The clocks of the lanes of one block, and of the barriers where they meet.

#include "check/Clock.h"

#include <array>
#include <unordered_map>

namespace vgpu {

class BlockClocks {
public:
  /// Everything stamped up to `start` happened before the block.
  BlockClocks(Agent agent, Epochs &epochs, Time start, const std::vector<LaneMask> &warps);

  /// A clock of one who knows no more than what happened before the block.
  ClockRef initial() const {
    return std::make_shared<Clock>(agent, static_cast<uint32_t>(lanes.size()), start);
  }
  const Clock &of(uint32_t warp, int lane) const { return *clockOf(warp, lane); }
  /// The stamp of what the warp does now.
  Time epoch(uint32_t warp) const { return lanes[warp].epoch; }
  /// All lanes of the warp that act know all stamps of their block up to this one.
  Time floor(uint32_t warp) const { return lanes[warp].floor; }
  /// All lanes of the warp know what its own lanes did up to this one.
  Time ownKnown(uint32_t warp) const { return lanes[warp].ownKnown; }

  void warpSync(uint32_t warp, LaneMask together);
  /// Lanes that have left (`live` is what has not) give nothing.
  void barrierArrive(uint32_t warp, LaneMask live, int id, bool waits);
  void barrierComplete(int id);

  // --- Locations of memory that synchronise.

  /// Before anything happens after it, the lanes' later strong stores release
  /// what they did until now, and their earlier strong loads acquire.
  void fence(uint32_t warp, LaneMask lanes, LaneMask live, Scope scope);
  /// What a strong store of the lane publishes, or null. With `releases`, it
  /// is all that the lane did.
  ClockRef published(uint32_t warp, int lane, bool releases, Scope &scope);
  /// A strong load of the lane has seen what `clock` published.
  void observe(uint32_t warp, int lane, LaneMask live, const Clock &clock, bool acquires);
  /// An mbarrier: arrivals give, waits take.
  void arrive(uint32_t warp, LaneMask lanes, ClockRef &barrier);
  void acquire(uint32_t warp, LaneMask lanes, LaneMask live, const Clock &clock);

  const Agent agent;
  const Time start;

private:
  struct Snapshot {
    ClockRef clock; ///< as of the lane's last fence
    Scope scope = Scope::None;
  };
  struct WarpClocks {
    LaneMask existing = 0;
    LaneMask acting = 0; ///< those that had not left when last seen
    Time epoch = 0, floor = 0, ownKnown = 0;
    ClockRef common; ///< of all lanes, unless they have clocks of their own
    std::unique_ptr<std::array<ClockRef, kWarpSize>> split;
    std::unique_ptr<std::array<Snapshot, kWarpSize>> fenced;
    std::unique_ptr<std::array<ClockRef, kWarpSize>> seen; ///< to acquire at the next fence
  };
  struct Barrier {
    ClockRef clock;
    std::vector<uint32_t> waiting;
    std::vector<bool> gaveAll; ///< of `waiting`: no lane has left
  };

  const ClockRef &clockOf(uint32_t warp, int lane) const {
    const WarpClocks &of = lanes[warp];
    return of.split ? (*of.split)[lane] : of.common;
  }
  void split(WarpClocks &warp);
  void setAll(uint32_t warp, ClockRef clock);
  void refresh(uint32_t warp);
  void advance(uint32_t warp) { lanes[warp].epoch = epochs.open(agent, warp); }
  ClockRef snapshot(uint32_t warp, LaneMask together) const;

  Epochs &epochs;
  std::vector<WarpClocks> lanes;
  std::unordered_map<int, Barrier> barriers;
};

} // namespace vgpu
