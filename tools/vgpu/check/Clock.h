#pragma once
// Vector clocks: what a lane knows to have happened before.
//
// Time is one counter of the device. A warp has an epoch, which advances when
// its lanes synchronise; accesses are stamped with it. A clock says for each
// warp of its block up to which stamp all that its lanes did is known, and, in a
// sparse map, the same for single lanes and for warps of other blocks.

#include "check/Epochs.h"

#include <map>
#include <memory>
#include <vector>

namespace vgpu {

class Clock {
public:
  Clock(Agent owner, uint32_t warps, uint32_t known) : owner(owner), warps(warps, known) {}

  bool knows(Agent agent, uint32_t warp, LaneMask lanes, uint32_t time) const {
    return (agent == owner && warp < warps.size() && time <= warps[warp]) ||
           (sparse && knowsSparsely(agent, warp, lanes, time));
  }
  /// All stamps of its block up to this one are known.
  uint32_t floor() const;

  /// Of the clock's own block, what is no warp: its number is larger than theirs.
  void learnAgent(uint32_t number, uint32_t time) {
    ownSparse()[key(owner, number, kWarpSize)] = time;
  }
  void learnWarp(uint32_t warp, uint32_t time) { warps[warp] = std::max(warps[warp], time); }
  /// Single lanes of a warp of the clock's own block.
  void learnLanes(uint32_t warp, LaneMask lanes, uint32_t time);
  void join(const Clock &other);

private:
  /// (agent, warp, lane); all lanes of a warp are lane 32.
  static uint64_t key(Agent agent, uint32_t warp, uint32_t lane) {
    return (uint64_t{agent} << 8 | warp) << 6 | lane;
  }
  bool knowsSparsely(Agent agent, uint32_t warp, LaneMask lanes, uint32_t time) const;
  std::map<uint64_t, uint32_t> &ownSparse();

  Agent owner;
  std::vector<uint32_t> warps;
  std::shared_ptr<std::map<uint64_t, uint32_t>> sparse; ///< shared by copies until one changes
};

using ClockRef = std::shared_ptr<Clock>;

/// The clock for changing it: a copy if others hold it too.
inline Clock &writable(ClockRef &clock) {
  if (clock.use_count() > 1)
    clock = std::make_shared<Clock>(*clock);
  return *clock;
}

} // namespace vgpu
