#pragma once
// The times of a device, and whose they are.

#include "program/Program.h"

#include <vector>

namespace vgpu {

/// A resident block. The number is not used again before time begins again.
using Agent = uint32_t;

/// What accesses are stamped with. 0: never.
using Time = uint32_t;

/// One counter. Each of its times is at most one warp's, so that a stamp says
/// who left it.
class Epochs {
public:
  static constexpr uint32_t kMostWarps = 32; ///< of a block

  Time now() const { return static_cast<Time>(owners.size() - 1); }
  /// A time that is nobody's.
  Time tick() { return open(~Agent{0}, 0); }
  /// The next time, which is the warp's.
  Time open(Agent agent, uint32_t warp) {
    owners.push_back(ownerOf(agent, warp));
    return now();
  }
  void restart() { owners.assign(1, ~uint32_t{0}); }

  /// A warp as one number.
  static uint32_t ownerOf(Agent agent, uint32_t warp) { return agent * kMostWarps | warp; }
  bool isOf(uint32_t owner, Time time) const { return owners[time] == owner; }
  Agent agentOf(Time time) const { return owners[time] / kMostWarps; }
  uint32_t warpOf(Time time) const { return owners[time] % kMostWarps; }

private:
  std::vector<uint32_t> owners{~uint32_t{0}};
};

} // namespace vgpu
