#pragma once
// Who touched the shared memory of a block last: the shadow in which races are
// seen. A granule is as small as the smallest access of the program, so no two
// accesses touch different parts of one.
//
// Stamps lie in planes, so that a contiguous access of a warp is a few vector
// operations: the last write of each granule, the time of its last read, and,
// for each warp, its last reads.

#include "check/BlockClocks.h"
#include "check/Observer.h"

#include <optional>

namespace vgpu {

/// What an access promises by itself. Two accesses of which none is weak do not
/// race; volatile ones of one warp are how old code relied on its lanes running
/// together.
enum class Strength : uint8_t { Weak, Volatile, Strong };

inline Strength strengthOf(const MemoryAccess &access) {
  if (access.isVolatile)
    return Strength::Volatile;
  bool isStrong = access.order != Order::Weak || access.kind == AccessKind::Atomic;
  return isStrong ? Strength::Strong : Strength::Weak;
}

/// Whether accesses in one block may conflict if nothing orders them.
inline bool mayConflict(Strength one, Strength other, bool isSameWarp) {
  return one == Strength::Weak || other == Strength::Weak ||
         (isSameWarp && one == Strength::Volatile && other == Strength::Volatile);
}

/// A memory access and an earlier one that no synchronisation separates.
struct Conflict {
  int lane;         ///< of the later access
  uint64_t address; ///< of the later access
  bool otherWrites;
  Strength otherStrength;
  Agent otherAgent;
  uint32_t otherWarp;
  LaneMask otherLanes;
  uint32_t otherLine; ///< of the PTX
};

/// Who is told of conflicts.
class Conflicts {
public:
  virtual void report(const Conflict &conflict) = 0;
  /// Whether another block, of another launch, came before.
  virtual bool isOrdered(Agent other) const = 0;

protected:
  ~Conflicts() = default;
};

class SharedRaces {
public:
  SharedRaces(uint32_t bytes, uint32_t granuleBytes, uint32_t warps);

  /// Remembers the access, after reporting the first conflict of each lane.
  void access(const MemoryAccess &access, uint32_t line, const BlockClocks &clocks,
              Conflicts &conflicts);

private:
  struct Reads {
    std::unique_ptr<Time[]> time;
    std::unique_ptr<LaneMask[]> lanes;
    std::unique_ptr<uint32_t[]> line; ///< × 4, plus the least strength
  };

  bool loadAll(uint32_t first, uint32_t line, uint32_t warp, const BlockClocks &clocks,
               uint32_t granulesPerLane);
  bool storeAll(uint32_t first, uint32_t line, uint32_t warp, const BlockClocks &clocks,
                uint32_t granulesPerLane);
  void accessLane(const MemoryAccess &access, int lane, uint32_t line, const BlockClocks &clocks,
                  Conflicts &conflicts);
  std::optional<Conflict> conflict(uint32_t granule, uint32_t warp, int lane, bool writes,
                                   Strength strength, const BlockClocks &clocks) const;
  void recordRead(uint32_t granule, uint32_t warp, int lane, uint32_t line, Strength strength,
                  const BlockClocks &clocks);

  const uint32_t granuleBytes, granules;
  /// Time 0: never.
  std::unique_ptr<Time[]> writeTime, lastRead;
  std::unique_ptr<uint32_t[]> writer; ///< warp << 7 | lane << 2 | strength
  std::unique_ptr<uint32_t[]> writeLine;
  std::vector<Reads> reads; ///< by warp; empty until it reads
};

} // namespace vgpu
