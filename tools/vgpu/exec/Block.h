#pragma once
// A thread block (CTA): its warps, shared memory and barriers.

#include "check/Observer.h"
#include "exec/Warp.h"
#include "memory/DeviceMemory.h"
#include "memory/Recycled.h"

namespace vgpu {

class Asynchrony;
class Profile;
struct BlockRaces;

/// What is known of a byte of shared memory, as bits.
enum SharedMark : uint8_t {
  kWritten = 1,
  kArriving = 2, ///< a cp.async writes it
  kBarrier = 4,  ///< it belongs to an mbarrier
};

class Block {
public:
  Block(Machine &machine, const Launch &launch, uint64_t run, Dim3 index, uint32_t linearIndex);
  ~Block();

  bool isFinished() const { return finishedWarps == warps.size(); }
  /// Gives every warp that can run a turn; `turn(warp)` says how long. Returns
  /// false if nothing could be executed.
  template <class Turn> bool run(Turn turn) {
    bool progressed = false;
    for (auto &warp : warps) {
      if (!warp->live())
        continue;
      executing = warp.get();
      Warp::Outcome outcome = warp->run(turn(*warp));
      progressed |= outcome != Warp::Outcome::Stalled;
      if (outcome == Warp::Outcome::Finished)
        warpFinished(*warp);
    }
    return progressed;
  }

  /// The warp that had the last turn.
  const Warp *running() const { return executing; }

  /// A warp arrives at a barrier of `threads` threads, or of all where it is 0.
  void arriveAtBarrier(Warp &warp, int id, uint32_t threads, bool waits, LaneMask reduction);
  /// barrier.cluster, where a cluster is this block: arriving does not wait, and
  /// waiting is over when all warps have arrived.
  void arriveAtCluster(Warp &warp);
  bool isClusterComplete(const Warp &warp) const { return clusterPhase != warp.clusterPhase; }
  /// The barrier's number for observers.
  static constexpr int kClusterBarrier = 16;
  /// In words: who waits where. For the message of a deadlock.
  std::string describeWaiting() const;

  /// Addresses are without window.
  bool inShared(uint64_t address, uint32_t bytes) const {
    return address >= kSharedBase && address + bytes <= sharedEnd;
  }
  uint8_t *shared(uint32_t address) { return sharedBytes.data() + address; }

  Machine &machine;
  const Launch &launch;
  const Dim3 index;
  const uint32_t linearIndex;
  const uint32_t sharedEnd;
  std::vector<std::unique_ptr<Warp>> warps;
  /// Of kernels that use it.
  std::unique_ptr<Asynchrony> asynchrony;
  /// Shared memory, and the SharedMarks of each byte, of which 16 more make whole units.
  RecycledVector<uint8_t> sharedBytes, sharedMarks;
  /// The allocations that instructions met last; empty when allocations change.
  Allocation knownRanges[16];
  uint64_t knownGeneration = 0;
  const uint64_t runNumber; ///< see Observer::launchBegins
  /// Counts what its warps execute, where it is set before they run.
  Profile *profile = nullptr;
  /// Where usual accesses are checked for races, if nobody else wants to see them.
  const BlockRaces *races = nullptr;
  /// What observers keep.
  std::unique_ptr<Observation> observations[kObservers];

private:
  struct Barrier {
    uint32_t expected = 0; ///< threads; 0 for all of the block
    uint32_t arrived = 0;
    uint32_t warpsArrived = 0;
    uint32_t reductionCount = 0;
    uint32_t reductionLanes = 0;
    bool isOpen = false;
  };

  void warpFinished(Warp &warp);
  void completeIfAll(int id);
  void completeCluster();

  Barrier barriers[16];
  size_t finishedWarps = 0;
  uint32_t clusterPhase = 1;
  size_t clusterArrived = 0;
  const Warp *executing = nullptr;
};

} // namespace vgpu
