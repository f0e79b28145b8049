#pragma once
// Who touched the shared memory of a block last: the shadow in which races are
// seen. A granule is as small as the smallest access of the program, so no two
// accesses touch different parts of one.
//
// What is known of four granules lies together in one line of the processor's
// cache: their last writes, and for each warp their last reads. So an access of 16
// bytes, or of four lanes side by side, is a few operations on vectors.

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
  /// With `hasRanges`, `conflictIn` may be called.
  SharedRaces(uint32_t bytes, uint32_t granuleBytes, uint32_t warps, bool hasRanges);

  /// Whether it could be the shadow of such a block.
  bool fits(uint32_t bytes, uint32_t granuleBytes, uint32_t warps, bool hasRanges) const {
    return this->granuleBytes == granuleBytes && granules == countOf(bytes, granuleBytes) &&
           reads.size() == warps && pages.empty() != hasRanges;
  }
  /// For another block: what is stamped up to now is forgotten.
  void reuse(Time now) { birth = now; }

  /// Remembers the access, after reporting the first conflict of each lane.
  void access(const MemoryAccess &access, uint32_t line, const BlockClocks &clocks,
              Conflicts &conflicts);

  /// What the lane does not know to have happened in [begin, end), if it writes or
  /// reads there; nothing is remembered.
  std::optional<Conflict> conflictIn(uint32_t begin, uint32_t end, bool isWrite, uint32_t warp,
                                     int lane, const BlockClocks &clocks) const;

private:
  static constexpr uint32_t kTogether = 4;
  typedef uint32_t Four __attribute__((vector_size(16)));
  struct Writes {
    Four time{};
    Four writer{}; ///< warp << 7 | lane << 2 | strength
    Four line{};
    Four lastRead{}; ///< by any warp
  };
  struct alignas(64) Reads {
    Four time{};
    Four lanes{};
    Four line{}; ///< × 4, plus the least strength
  };
  /// An access, as its warp makes it now.
  struct Access {
    const BlockClocks &clocks;
    uint32_t warp, line;
    bool writes;
    Strength strength;
    Time epoch, floor, ownKnown;
  };

  /// The newest accesses to some memory, so that ranges are looked through fast.
  static constexpr uint32_t kPageBytes = 1024;
  struct Page {
    Time write = 0, read = 0;
  };

  bool isRecent(uint32_t page, const Access &now) const;
  void notePages(const MemoryAccess &access, const Access &now);
  static uint32_t countOf(uint32_t bytes, uint32_t granuleBytes) {
    return (bytes + granuleBytes - 1) / granuleBytes;
  }
  Writes &writesOf(uint32_t granule) const { return writes[granule / kTogether]; }
  bool touchFour(uint32_t granule, const Access &now, const Four &lanes);
  bool touchOne(uint32_t granule, const Access &now, int lane);
  LaneMask touchContiguous(uint32_t first, const Access &now, uint32_t each);
  LaneMask lanesInDoubt(const MemoryAccess &access, const Access &now);
  void accessLane(const MemoryAccess &access, int lane, const Access &now, Conflicts &conflicts);
  std::optional<Conflict> conflict(uint32_t granule, int lane, const Access &now) const;
  void recordRead(uint32_t granule, int lane, const Access &now);

  const uint32_t granuleBytes, granules;
  std::vector<Page> pages;
  Time birth = 0; ///< of the block: older stamps are another's
  std::unique_ptr<Writes[]> writes;
  std::vector<std::unique_ptr<Reads[]>> reads; ///< by warp; null until it reads
};

} // namespace vgpu
