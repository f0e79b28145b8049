#pragma once
// The asynchronous engines of a block: cp.async, bulk copies and tensor copies,
// and the mbarriers that they arrive at. Everything is executed as late as is
// legal: when a thread waits for it.

#include "async/BulkPiece.h"
#include "async/CopyGroups.h"
#include "async/Mbarrier.h"
#include "async/TensorMap.h"
#include "exec/Flights.h"

#include <map>

namespace vgpu {

class WarpgroupEngine;

/// What a reduction does to each element of global memory.
using BulkReduction = void (*)(uint8_t *global, const uint8_t *shared, uint32_t bytes);

struct BulkCopy {
  enum class Kind : uint8_t {
    Load,   ///< to shared memory, through the asynchronous proxy
    Store,  ///< from shared memory
    Reduce, ///< likewise
    Put,    ///< to shared memory, of what is captured: st.async and red.async
  };
  Kind kind = Kind::Load;
  Warp *warp = nullptr;
  int lane = 0;
  const Instruction *instruction = nullptr;
  BulkPieces pieces;
  Swizzle swizzle = Swizzle::None;
  SharedRange range{};  ///< all of it in shared memory
  uint64_t fill = 0;    ///< eight bytes of filling
  uint32_t barrier = 0; ///< of what goes to shared memory
  uint32_t group = 0;   ///< of a store
  BulkReduction reduce = nullptr;
  uint64_t flight = 0;
  std::vector<uint8_t> captured; ///< of a store whose source has been read
  bool isCaptured = false;

  bool writesShared() const { return kind == Kind::Load || kind == Kind::Put; }
};

class Asynchrony {
public:
  explicit Asynchrony(Block &block);
  ~Asynchrony();

  // --- cp.async

  /// A new copy of the warp, of no lanes yet.
  AsyncCopy &newCopy(const Warp &warp);
  /// `copy` is complete now; destinations are in bounds.
  void issue(Warp &warp, AsyncCopy &copy);
  void commitCopies(Warp &warp, LaneMask lanes);
  void waitForCopies(Warp &warp, LaneMask lanes, uint32_t allowed);
  void waitForAllCopies(Warp &warp, LaneMask lanes);
  /// cp.async.mbarrier.arrive: arrives when the lane's copies so far are done.
  void arriveAfterCopies(Warp &warp, int lane, uint32_t barrier, bool increments);

  // --- mbarriers; addresses without window

  void initBarrier(Warp &warp, int lane, uint32_t address, uint32_t count);
  void invalidateBarrier(Warp &warp, int lane, uint32_t address);
  /// The barrier at the address, or a Fault.
  Mbarrier &barrier(int lane, uint32_t address);
  /// Executes what the phase still waits for, if only copies are missing.
  void settle(uint32_t address);
  /// Whether one of the lanes has not yet waited in vain for the phase that goes on.
  bool isFirstPoll(const Warp &warp, LaneMask lanes, uint32_t address) const;
  /// Reports a wait that has missed a phase since its last attempt.
  void notePoll(const Warp &warp, LaneMask lanes, uint32_t address, bool isOver);
  void fenceBarrierInit(const Warp &warp, LaneMask lanes);

  // --- Bulk copies

  void issue(BulkCopy copy);
  void commitBulk(Warp &warp, LaneMask lanes);
  /// With `isRead`, only until the sources have been read.
  void waitForBulk(Warp &warp, LaneMask lanes, uint32_t allowed, bool isRead);

  /// All warps have left: completes what is pending, and reports what nobody waited for.
  void finish();
  /// In words: the barriers that wait. For the message of a deadlock.
  std::string describe() const;

  /// Addresses of tensor maps that the block knows by a fence, and their versions.
  std::map<uint64_t, uint64_t> acquiredMaps;
  Flights flights;
  std::unique_ptr<WarpgroupEngine> warpgroups;

private:
  struct Barrier {
    Mbarrier state;
    uint32_t initThread, initTime;
    bool isVisible = false;        ///< to the asynchronous proxy
    std::vector<uint64_t> polls{}; ///< by thread: 1 + the phase that it waits in, or 0
    uint32_t waiting = 0;          ///< threads
  };
  struct DeferredArrival {
    Warp *warp;
    int lane;
    uint32_t barrier;
  };

  void move(const AsyncCopy &copy, LaneMask lanes);
  void execute(Warp &warp, AsyncCopy &copy, LaneMask lanes);
  bool isUsualStore(const Warp &warp, const AsyncCopy &copy, LaneMask lanes);
  void capture(BulkCopy &copy);
  void execute(BulkCopy &copy);
  void load(BulkCopy &copy);
  void store(BulkCopy &copy);
  void put(BulkCopy &copy);
  BulkCopy *inFlightWith(const BulkCopy &reduction);
  void fireDeferred(uint32_t address, Mbarrier &state);
  void checkVisible(const BulkCopy &copy);
  uint32_t &bulkGroup(const Warp &warp, int lane);

  Block &block;
  std::vector<CopyGroups> copyGroups; ///< of each warp
  std::vector<DeferredArrival> deferred;
  std::map<uint32_t, Barrier> barriers;
  std::vector<BulkCopy> bulkCopies; ///< in the order of their issue
  std::vector<uint32_t> bulkGroups; ///< of each thread: the open group
};

} // namespace vgpu
