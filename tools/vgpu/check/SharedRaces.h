#pragma once
// Who touched the shared memory of a block last: the shadow in which races are
// seen. A granule is as small as the smallest access of the program, so no two
// accesses touch different parts of one.
//
// Most accesses touch four granules alike: one lane, or lanes that follow each
// other. So one record of 16 bytes is kept of four granules, a *quad*, as long as
// it can say what happened to them: of their last write, and for each warp of its
// last reads. It also bounds their times, which is often all that one needs.

#include "check/BlockClocks.h"
#include "check/Observer.h"

#include <optional>
#include <span>

namespace vgpu {

/// What an access promises by itself. Two accesses of which none is weak do not
/// race; volatile ones of one warp are how old code relied on its lanes running
/// together.
enum class Strength : uint8_t { Weak, Volatile, Strong };

inline Strength strengthOf(const LaneAccess &access) {
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
  void access(const LaneAccess &access, uint32_t warp, uint32_t line, const BlockClocks &clocks,
              Conflicts &conflicts);

  /// The usual access: all lanes touch `each` bytes that follow each other, weakly,
  /// after all that is remembered of them. False, with nothing done, where there
  /// is more to look at. Not where there are ranges.
  bool touch(uint32_t address, uint32_t each, AccessKind kind, uint32_t warp, uint32_t line,
             const BlockClocks &clocks);

  /// As `touch`, for loads of 16 bytes by each of the first lanes, wherever they lie.
  bool touchRows(std::span<const uint32_t> addresses, uint32_t warp, uint32_t line,
                 const BlockClocks &clocks);

  /// What the lane does not know to have happened in [begin, end), if it writes or
  /// reads there; nothing is remembered.
  std::optional<Conflict> conflictIn(uint32_t begin, uint32_t end, bool isWrite, uint32_t warp,
                                     int lane, const BlockClocks &clocks) const;

private:
  static constexpr uint32_t kTogether = 4; ///< granules of a quad
  /// How the lanes of a record go on in a quad: each accessed 2 to this power of
  /// its granules. Or else its granules have records of their own.
  enum Shape : uint32_t { kByOne, kByTwo, kByFour, kSplit };

  /// Of a quad or a granule.
  struct alignas(16) Write {
    Time time = 0;       ///< the newest of a quad
    uint32_t writer = 0; ///< see writerOf
    uint32_t line = 0;
    Time lastRead = 0; ///< of a quad: of any granule, by any warp
  };
  struct alignas(16) Read {
    Time time = 0;      ///< the newest of a quad
    LaneMask lanes = 0; ///< of the first granule
    uint32_t line = 0;  ///< × 4, plus the least strength
    uint32_t shape = kByFour;
  };
  /// An access, as its warp makes it now.
  struct Access {
    const BlockClocks &clocks;
    Read *reads; ///< of the warp's quads
    uint32_t warp, line;
    bool writes;
    Strength strength;
    Time epoch, floor, ownKnown;

    Read *readsOf(uint32_t quad) const { return writes ? nullptr : reads + quad; }
  };

  /// The newest accesses to some memory, so that ranges are looked through fast.
  static constexpr uint32_t kPageBytes = 1024;
  struct Page {
    Time write = 0, read = 0;
  };

  bool isRecent(uint32_t page, const Access &now) const;
  void notePages(const LaneAccess &access, const Access &now);
  static uint32_t countOf(uint32_t bytes, uint32_t granuleBytes) {
    return (bytes + granuleBytes - 1) / granuleBytes;
  }
  static uint32_t writerOf(uint32_t warp, uint32_t lane, Shape shape, Strength strength) {
    return shape << 12 | warp << 7 | lane << 2 | static_cast<uint32_t>(strength);
  }
  static uint32_t shapeOf(const Write &write) { return write.writer >> 12; }
  static uint32_t warpOf(const Write &write) { return write.writer >> 7 & 31; }

  Access accessOf(AccessKind kind, Strength strength, uint32_t warp, uint32_t line,
                  const BlockClocks &clocks) const {
    return {clocks,
            reads[warp].quads.get(),
            warp,
            line,
            kind != AccessKind::Load,
            strength,
            clocks.epoch(warp),
            std::max(clocks.floor(warp), birth),
            std::max(clocks.ownKnown(warp), birth)};
  }
  static bool canTouch(const Write &written, const Read *own, const Access &now, Shape shape);
  static void record(Write &written, Read *own, const Access &now, Shape shape, uint32_t lane,
                     LaneMask lanes);
  bool touchQuad(uint32_t quad, const Access &now, Shape shape, uint32_t lane, LaneMask lanes);
  bool touchOne(uint32_t granule, const Access &now, int lane, LaneMask lanes);
  bool touchGroup(uint32_t first, const Access &now, uint32_t each, int lane, LaneMask lanes);
  // These copy the access, so that the compiler knows that records are no part of it.
  LaneMask touchContiguous(uint32_t first, Access now, uint32_t each);
  LaneMask touchQuads(const uint64_t *addresses, LaneMask lanes, Access now);
  template <uint32_t quads> bool touchRows(std::span<const uint32_t> addresses, Access now);
  LaneMask lanesInDoubt(const LaneAccess &access, Access now);
  void accessLane(const LaneAccess &access, int lane, const Access &now, Conflicts &conflicts);
  std::optional<Conflict> conflict(uint32_t granule, int lane, const Access &now) const;

  Write writeOf(uint32_t granule) const;
  Read readOf(uint32_t warp, uint32_t granule) const;
  void recordWrite(uint32_t granule, int lane, const Access &now);
  void recordRead(uint32_t granule, LaneMask lanes, const Access &now);

  const uint32_t granuleBytes, granules;
  std::vector<Page> pages;
  Time birth = 0;                               ///< of the block: older stamps are another's
  std::unique_ptr<Write[]> writes, splitWrites; ///< of quads and of granules
  struct Reads {
    std::unique_ptr<Read[]> quads, granules;
  };
  std::vector<Reads> reads; ///< by warp; null until it reads
};

/// Whether a weak access to a whole quad is in no doubt: nothing may be too recent
/// for the clocks' floor, and one record can say it.
[[gnu::always_inline]] inline bool SharedRaces::canTouch(const Write &written, const Read *own,
                                                         const Access &now, Shape shape) {
  if (now.writes)
    return written.time <= now.floor && written.lastRead <= now.floor;
  return written.time <= now.floor && (own->time <= now.ownKnown || own->shape == shape);
}

/// Records it by `lanes`; those of the first granule are `lane` and whom it stands for.
[[gnu::always_inline]] inline void SharedRaces::record(Write &written, Read *own, const Access &now,
                                                       Shape shape, uint32_t lane, LaneMask lanes) {
  if (now.writes) {
    written.time = now.epoch;
    written.writer = writerOf(now.warp, lane, shape, Strength::Weak);
    written.line = now.line;
    return;
  }
  if (own->time > now.ownKnown)
    lanes |= own->lanes;
  *own = {now.epoch, lanes, now.line << 2, shape};
  written.lastRead = std::max(written.lastRead, now.epoch);
}

[[gnu::always_inline]] inline bool SharedRaces::touch(uint32_t address, uint32_t each,
                                                      AccessKind kind, uint32_t warp, uint32_t line,
                                                      const BlockClocks &clocks) {
  uint32_t quadBytes = kTogether * granuleBytes, offset = address - kSharedBase;
  const Access now = accessOf(kind, Strength::Weak, warp, line, clocks);
  if (offset % quadBytes || (!now.writes && !now.reads)) [[unlikely]]
    return false;
  int quadLog = std::countr_zero(quadBytes), eachLog = std::countr_zero(each);
  auto shape = static_cast<Shape>(kByFour - std::max(quadLog - eachLog, 0));
  uint32_t first = offset >> quadLog, quads = kWarpSize << eachLog >> quadLog;
  bool can = true;
  for (uint32_t quad = 0; quad < quads; ++quad)
    can &= canTouch(writes[first + quad], now.readsOf(first + quad), now, shape);
  if (!can) [[unlikely]]
    return false;
  for (uint32_t quad = 0; quad < quads; ++quad) {
    uint32_t lane = quad << quadLog >> eachLog;
    record(writes[first + quad], now.readsOf(first + quad), now, shape, lane, LaneMask{1} << lane);
  }
  return true;
}

} // namespace vgpu
