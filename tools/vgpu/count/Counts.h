#pragma once
// What is counted of a launch.

#include "check/Profile.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vgpu {

struct Counts {
  uint64_t warpInstructions = 0;
  uint64_t threadInstructions = 0; ///< active lanes, summed
  /// Warp instructions by InstructionClass.
  std::array<uint64_t, static_cast<size_t>(InstructionClass::Count)> byClass{};
  uint64_t divergentBranches = 0;
  uint64_t barriers = 0; ///< of blocks and warps, by warps
  uint64_t atomics = 0;  ///< by lanes
  uint64_t globalRequests = 0, globalSectors = 0;
  /// Conflicts are wavefronts beyond the least that the width and the lanes need.
  uint64_t sharedWavefronts = 0, bankConflicts = 0;
  uint64_t tensorFlops = 0; ///< two for each multiplication and addition
  uint64_t bulkBytes = 0;   ///< of global memory, moved by bulk and tensor copies

  void add(const Counts &other);
};

struct LaunchCounts {
  std::string kernel;
  Counts total;
  /// The innermost loop with tensor instructions; without them, the one whose
  /// loads read most. Lines of the PTX, 0 where there is no loop.
  Counts mainLoop;
  int mainLoopBegin = 0, mainLoopEnd = 0;
  uint64_t l2ReadBytes = 0, l2WrittenBytes = 0;
  uint64_t dramReadBytes = 0, dramWriteBytes = 0;
};

/// The sum over launches; it has no main loop of its own lines.
LaunchCounts sumOf(const std::vector<LaunchCounts> &launches);

/// What a process did: its launches, those that graphs made among them, and how
/// often a graph was launched.
struct CountReport {
  std::vector<LaunchCounts> launches;
  uint64_t graphLaunches = 0;
};
/// {"launches": […], "graph_launches": …, "total": {…}}
std::string jsonOf(const CountReport &report);
std::string textOf(const CountReport &report);

/// Sums what was counted for the instructions.
LaunchCounts summarize(const Profile &profile);

std::string jsonOf(const LaunchCounts &counts);
std::string textOf(const LaunchCounts &counts);

} // namespace vgpu
