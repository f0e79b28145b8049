#pragma once
// Who touched the shared memory of a block last: the shadow in which races are
// seen. A granule is as small as the smallest access of the program, so no two
// accesses touch different parts of one.
//
// Most accesses touch four granules alike: one lane, or lanes that follow each
// other. So one record of 16 bytes is kept of four granules, a *quad*, as long as
// it can say what happened to them: of their last write, and for each warp of its
// last reads. It also bounds their times, which is often all that one needs, and so
// do those of *pages*, of which there are few.

#include "check/BlockClocks.h"
#include "check/Observer.h"
#include "memory/SharedRange.h"

#include <array>
#include <optional>

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
  SharedRaces(uint32_t bytes, uint32_t granuleBytes, uint32_t warps);

  /// Whether it could be the shadow of such a block.
  bool fits(uint32_t bytes, uint32_t granuleBytes, uint32_t warps) const {
    return this->granuleBytes == granuleBytes && granules == countOf(bytes, granuleBytes) &&
           reads.size() == warps;
  }
  /// For another block: what is stamped up to now is forgotten.
  void reuse(Time now);

  /// Remembers the access, after reporting the first conflict of each lane.
  void access(const LaneAccess &access, uint32_t warp, uint32_t line, const BlockClocks &clocks,
              Conflicts &conflicts);

  /// The usual access: all lanes touch `each` bytes that follow each other, weakly,
  /// after all that is remembered of them. False, with nothing done, where there
  /// is more to look at.
  bool touch(uint32_t address, uint32_t each, AccessKind kind, uint32_t warp, uint32_t line,
             const BlockClocks &clocks);

  /// As `touch`, for stores of 16 bytes by each lane, which may lie apart.
  bool writeRows(const std::array<uint32_t, kWarpSize> &rows, uint32_t warp, uint32_t line,
                 const BlockClocks &clocks);
  /// Likewise for loads by the first lanes. Where to put what rows they are:
  uint32_t *rowsToRead(uint32_t warp, const BlockClocks &clocks);
  /// As `touch`, for so many rows that have been put there, in `hull`.
  bool readRows(uint32_t count, SharedRange hull, uint32_t warp, uint32_t line,
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
    bool mayMeetReads = writes, mayMeetWrites = true; ///< that are later than the floor

    Read *readsOf(uint32_t quad) const { return writes ? nullptr : reads + quad; }
  };
  /// Rows that a warp has read, as ldmatrix does. To write that down is less work than to
  /// record it, and who has read them is hardly ever asked.
  struct LoggedRows {
    Time epoch, ownKnown;
    uint32_t line, count;
    uint32_t rows[kWarpSize];
  };
  static constexpr uint32_t kMostLogged = 16, kRowBytes = 16;
  struct Reads {
    std::unique_ptr<Read[]> quads, granules;
    std::unique_ptr<LoggedRows[]> log; ///< the newest reads, which are not recorded yet
    uint32_t logged = 0;
  };

  /// The times of the newest accesses to some memory.
  static constexpr uint32_t kPageBytes = 256;
  using Pages = std::vector<Time>;

  static bool anySince(Time time, const Pages &pages, uint32_t begin, uint32_t end) {
    Time newest = 0;
    for (uint32_t page = begin / kPageBytes; page * kPageBytes < end; ++page)
      newest = std::max(newest, pages[page]);
    return newest > time;
  }
  static void note(Time time, Pages &pages, uint32_t begin, uint32_t end) {
    for (uint32_t page = begin / kPageBytes; page * kPageBytes < end; ++page)
      pages[page] = std::max(pages[page], time);
  }
  bool mayMeetReads(const LaneAccess &access, const Access &now) const;
  void notePages(const LaneAccess &access, const Access &now);

  uint32_t quadsOfRow() const { return kRowBytes >> quadLog; }
  uint32_t firstQuadOf(uint32_t row) const { return (row - kSharedBase) >> quadLog; }
  bool isReadSince(Time time, uint32_t quad) const;
  void recordLog(uint32_t warp, const BlockClocks &clocks);
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
  bool canTouch(uint32_t quad, const Access &now, Shape shape) const;
  static void record(Write &written, Read *own, const Access &now, Shape shape, uint32_t lane,
                     LaneMask lanes);
  bool touchQuad(uint32_t quad, const Access &now, Shape shape, uint32_t lane, LaneMask lanes);
  bool touchOne(uint32_t granule, const Access &now, int lane, LaneMask lanes);
  bool touchGroup(uint32_t first, const Access &now, uint32_t each, int lane, LaneMask lanes);
  // These copy the access, so that the compiler knows that records are no part of it.
  LaneMask touchContiguous(uint32_t first, Access now, uint32_t each);
  LaneMask touchQuads(const uint64_t *addresses, LaneMask lanes, Access now);
  template <uint32_t quads> bool writeRows(const std::array<uint32_t, kWarpSize> &rows, Access now);
  LaneMask lanesInDoubt(const LaneAccess &access, Access now);
  void accessLane(const LaneAccess &access, int lane, const Access &now, Conflicts &conflicts);
  std::optional<Conflict> conflict(uint32_t granule, int lane, const Access &now) const;

  Write writeOf(uint32_t granule) const;
  Read readOf(uint32_t warp, uint32_t granule) const;
  void recordWrite(uint32_t granule, int lane, const Access &now);
  void recordRead(uint32_t granule, LaneMask lanes, const Access &now);
  void recordQuad(uint32_t quad, LaneMask lanes, const Access &now);

  const uint32_t granuleBytes, granules;
  const int quadLog; ///< of the bytes of a quad
  Time birth = 0;    ///< of the block: older stamps are another's
  Pages pageWrites, pageReads;
  std::unique_ptr<Write[]> writes, splitWrites; ///< of quads and of granules
  std::vector<Reads> reads;                     ///< by warp; null until it reads
};

/// Whether a weak access to a whole quad is in no doubt: nothing may be too recent
/// for the clocks' floor, and one record can say it.
[[gnu::always_inline]] inline bool SharedRaces::canTouch(uint32_t quad, const Access &now,
                                                         Shape shape) const {
  if (now.mayMeetWrites && writes[quad].time > now.floor)
    return false;
  if (now.writes)
    return !now.mayMeetReads || !isReadSince(now.floor, quad);
  const Read &own = now.reads[quad];
  return own.time <= now.ownKnown || own.shape == shape;
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
}

[[gnu::always_inline]] inline bool SharedRaces::touch(uint32_t address, uint32_t each,
                                                      AccessKind kind, uint32_t warp, uint32_t line,
                                                      const BlockClocks &clocks) {
  uint32_t offset = address - kSharedBase, end = offset + kWarpSize * each;
  Access now = accessOf(kind, Strength::Weak, warp, line, clocks);
  now.mayMeetReads = now.writes && anySince(now.floor, pageReads, offset, end);
  now.mayMeetWrites = anySince(now.floor, pageWrites, offset, end);
  bool isReady = now.writes ? !now.mayMeetReads : now.reads && !reads[warp].logged;
  if (offset & ((1u << quadLog) - 1) || !isReady) [[unlikely]]
    return false;
  int eachLog = std::countr_zero(each);
  auto shape = static_cast<Shape>(kByFour - std::max(quadLog - eachLog, 0));
  uint32_t first = offset >> quadLog, quads = kWarpSize << eachLog >> quadLog;
  bool can = true;
  for (uint32_t quad = 0; quad < quads; ++quad)
    can &= canTouch(first + quad, now, shape);
  if (!can) [[unlikely]]
    return false;
  for (uint32_t quad = 0; quad < quads; ++quad) {
    uint32_t lane = quad << quadLog >> eachLog;
    record(writes[first + quad], now.readsOf(first + quad), now, shape, lane, LaneMask{1} << lane);
  }
  note(now.epoch, now.writes ? pageWrites : pageReads, offset, end);
  return true;
}

} // namespace vgpu
