#pragma once
// The cp.async of one warp: every thread has groups of its own, which complete
// in order. Copies stay pending until a wait, or an mbarrier, needs them.

#include "memory/SharedRange.h"
#include "program/Program.h"

#include <array>
#include <functional>
#include <memory>
#include <vector>

namespace vgpu {

struct AsyncCopy {
  LaneMask lanes = 0; ///< that have not been executed yet
  const Instruction *instruction = nullptr;
  bool endsInParts = false;                     ///< since not all lanes wait at once
  uint64_t flight = 0;                          ///< names the bytes it will write,
  std::vector<SharedRange> ranges;              ///< which are these, if they are apart
  uint32_t bytes = 0;                           ///< of each lane
  std::array<uint32_t, kWarpSize> to{};         ///< shared addresses
  std::array<uint64_t, kWarpSize> from{};       ///< global addresses
  std::array<uint8_t, kWarpSize> sourceBytes{}; ///< the rest is zeros
  size_t commits = 0;                           ///< that came before it
  LaneMask waited = 0;                          ///< lanes that wait for it now
};

class CopyGroups {
public:
  /// Executes the copy for some lanes.
  using Execute = std::function<void(AsyncCopy &, LaneMask)>;

  /// A copy of no lanes yet, in the open groups.
  AsyncCopy &issue();
  void commit(LaneMask lanes);
  /// Executes all but the last `allowed` committed groups of each lane.
  void wait(LaneMask lanes, uint32_t allowed, const Execute &execute);
  /// Executes everything of the lanes, committed or not.
  void waitForAll(LaneMask lanes, const Execute &execute);
  const std::vector<std::unique_ptr<AsyncCopy>> &pending() const { return copies; }

private:
  void executeWaited(const Execute &execute);

  std::vector<std::unique_ptr<AsyncCopy>> copies;
  std::vector<std::unique_ptr<AsyncCopy>> idle; ///< whose memory is used again
  std::vector<LaneMask> commits; ///< by which lanes, since the oldest copy that is pending
  std::vector<LaneMask> counts;  ///< for `wait`: the lanes with more than so many commits
};

} // namespace vgpu
