#pragma once
// Where checkers and counters listen. An observer sees every access to memory
// and every synchronisation, in the order of execution, one call for a warp's
// instruction.

#include "async/BulkPiece.h"
#include "check/AddressGroups.h"
#include "check/TaskOrder.h"

#include <bit>

namespace vgpu {

class Warp;
class Block;
struct Launch;

enum class AccessKind : uint8_t { Load, Store, Atomic };

/// What lanes of a warp do to memory.
struct LaneAccess {
  AccessKind kind;
  Order order;
  Scope scope;
  bool isVolatile;
  uint32_t bytes; ///< of each lane
  LaneMask lanes;
  const uint64_t *addresses; ///< 32; shared addresses without their window
  /// The first lanes of runs: the other active lanes go on where the one before ends.
  LaneMask runs = lanes;
  /// Which lanes have one address, where that is known.
  const AddressGroups *groups = nullptr;

  bool isContiguous() const { return lanes == kAllLanes && runs == 1; }
};

struct MemoryAccess : LaneAccess {
  ptx::Space space; ///< where it went: never Generic
  const Instruction &instruction;
  Warp &warp;
};

/// Calls visit(first lane, bytes) for each run of lanes that access so many bytes each.
template <class Visit>
[[gnu::always_inline]] inline void eachRun(LaneMask runs, LaneMask lanes, uint32_t bytes,
                                           Visit visit) {
  while (runs) {
    int lane = std::countr_zero(runs);
    runs &= runs - 1;
    // The run ends where another begins, or where a lane is not active.
    LaneMask ends = (runs | ~lanes) & -(LaneMask{2} << lane);
    int next = ends ? std::countr_zero(ends) : kWarpSize;
    visit(lane, static_cast<uint32_t>(next - lane) * bytes);
  }
}

/// Calls visit(lane, lanes) for lanes that are known to have the address of the first.
template <class Visit>
[[gnu::always_inline]] inline void eachAddress(const AddressGroups *groups, LaneMask lanes,
                                               Visit visit) {
  if (groups)
    for (uint32_t group = 0; group < groups->count; ++group)
      visit(groups->first[group], groups->lanes[group]);
  else
    for (; lanes; lanes &= lanes - 1)
      visit(std::countr_zero(lanes), lanes & -lanes);
}

/// Observers that may listen at a time, by their place in Block::observations.
enum ObserverPlace { kRaceChecker, kCounters, kTensorResults, kObservers };

/// What an observer keeps of a block.
struct Observation {
  virtual ~Observation() = default;
};

class Observer {
public:
  virtual ~Observer() = default;

  /// A launch may run more than once, as part of graphs; `run` counts what the
  /// observer sees.
  virtual void launchBegins(const Launch &, const TaskOrder &, uint64_t run) {}
  virtual void launchEnds(const Launch &, uint64_t run) {}
  virtual void blockBegins(Block &) {}
  virtual void blockEnds(Block &) {}

  /// After the checks of bounds, before the data moves.
  virtual void access(const MemoryAccess &) {}
  /// Lanes of a warp have met, by bar.warp.sync or another `.sync` instruction.
  virtual void warpSync(Warp &, LaneMask lanes) {}
  /// A warp arrives at barrier `id` of its block (bar.arrive does not wait).
  virtual void barrierArrive(Warp &, int id, bool waits) {}
  /// Barrier `id` is complete; the warps that wait go on after this call.
  virtual void barrierComplete(Block &, int id) {}
  virtual void fence(Warp &, LaneMask lanes, Order order, Scope scope) {}
  virtual void mbarrierInit(Warp &, int lane, uint32_t address) {}
  /// Lanes arrive at the mbarrier at a shared address, or have seen a phase end.
  virtual void mbarrierArrive(Warp &, LaneMask lanes, uint32_t address) {}
  virtual void mbarrierWait(Warp &, LaneMask lanes, uint32_t address) {}
  /// An asynchronous operation that the lane issues is going to access shared memory.
  virtual void asyncBegins(Warp &, int lane, AccessKind kind, uint32_t begin, uint32_t end) {}
  /// A bulk copy that the lane issued has written shared memory, which whoever waits
  /// for its mbarrier knows.
  virtual void asyncWritten(Warp &, int lane, const Instruction &, uint32_t begin, uint32_t end,
                            uint32_t mbarrier) {}
  /// Lanes have waited until an operation has read shared memory. Of warps that read
  /// together (those of one `unit`), each waits.
  virtual void asyncRead(Warp &, LaneMask lanes, const Instruction &, uint32_t begin, uint32_t end,
                         uint32_t unit) {}
  /// A bulk copy that the lane issues touches the global memory of these pieces.
  virtual void bulkAccess(Warp &, int lane, AccessKind kind, const BulkPieces &pieces) {}
};

} // namespace vgpu
