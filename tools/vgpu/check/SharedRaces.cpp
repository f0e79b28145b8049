#include "check/SharedRaces.h"

#include <bit>

namespace vgpu {
namespace {

constexpr uint32_t kRowBytes = 16;

} // namespace

SharedRaces::SharedRaces(uint32_t bytes, uint32_t granuleBytes, uint32_t warps, bool hasRanges)
    : granuleBytes(granuleBytes), granules(countOf(bytes, granuleBytes)),
      pages(hasRanges ? bytes / kPageBytes + 1 : 0), writes(new Write[granules / kTogether + 1]()),
      reads(warps) {}

SharedRaces::Write SharedRaces::writeOf(uint32_t granule) const {
  Write write = writes[granule / kTogether];
  if (shapeOf(write) == kSplit)
    return splitWrites[granule];
  write.writer += granule % kTogether >> shapeOf(write) << 2;
  return write;
}

SharedRaces::Read SharedRaces::readOf(uint32_t warp, uint32_t granule) const {
  Read read = reads[warp].quads[granule / kTogether];
  if (read.shape == kSplit)
    return reads[warp].granules[granule];
  read.lanes <<= granule % kTogether >> read.shape;
  return read;
}

void SharedRaces::recordWrite(uint32_t granule, int lane, const Access &now) {
  Write &quad = writes[granule / kTogether];
  if (shapeOf(quad) != kSplit) {
    if (!splitWrites)
      splitWrites.reset(new Write[granules + kTogether]());
    uint32_t first = granule - granule % kTogether;
    for (uint32_t each = first; each < first + kTogether; ++each)
      splitWrites[each] = writeOf(each);
    quad.writer = writerOf(0, 0, kSplit, Strength::Weak);
  }
  uint32_t writer = writerOf(now.warp, static_cast<uint32_t>(lane), kByFour, now.strength);
  splitWrites[granule] = {now.epoch, writer, now.line, 0};
  quad.time = std::max(quad.time, now.epoch); // warps have times of their own
}

void SharedRaces::recordRead(uint32_t granule, LaneMask lanes, const Access &now) {
  Reads &own = reads[now.warp];
  Read &quad = own.quads[granule / kTogether];
  if (quad.shape != kSplit) {
    if (!own.granules)
      own.granules.reset(new Read[granules + kTogether]());
    uint32_t first = granule - granule % kTogether;
    for (uint32_t each = first; each < first + kTogether; ++each)
      own.granules[each] = readOf(now.warp, each);
    quad.shape = kSplit;
  }
  Read &read = own.granules[granule];
  LaneMask before = read.time <= now.ownKnown ? 0 : read.lanes;
  auto least = static_cast<uint32_t>(now.strength);
  if (before)
    least = std::min(least, read.line & 3);
  read = {now.epoch, before | lanes, now.line << 2 | least, kByFour};
  quad.time = now.epoch;
  Time &lastRead = writes[granule / kTogether].lastRead;
  lastRead = std::max(lastRead, now.epoch);
}

/// Records a weak access to a whole quad. False, with nothing done, if it is in doubt.
[[gnu::always_inline]] inline bool SharedRaces::touchQuad(uint32_t quad, const Access &now,
                                                          Shape shape, uint32_t lane,
                                                          LaneMask lanes) {
  Read *own = now.readsOf(quad);
  if (!canTouch(writes[quad], own, now, shape)) [[unlikely]]
    return false;
  record(writes[quad], own, now, shape, lane, lanes);
  return true;
}

/// As this, for one granule; `lane` is one of `lanes`, the only one that writes.
inline bool SharedRaces::touchOne(uint32_t granule, const Access &now, int lane, LaneMask lanes) {
  const Write &quad = writes[granule / kTogether];
  if (quad.time > now.floor && writeOf(granule).time > now.floor)
    return false;
  if (!now.writes) {
    recordRead(granule, lanes, now);
    return true;
  }
  if (quad.lastRead > now.floor)
    return false;
  recordWrite(granule, lane, now);
  return true;
}

/// All lanes, in order; `first` is a multiple of four. Returns the lanes for
/// which a look at the floor is not enough.
LaneMask SharedRaces::touchContiguous(uint32_t first, Access now, uint32_t each) {
  LaneMask inDoubt = 0;
  uint32_t lanesOfQuad = each < kTogether ? kTogether / each : 1;
  Shape shape = each == 1 ? kByOne : each == 2 ? kByTwo : kByFour;
  for (uint32_t lane = 0; lane < kWarpSize; first += kTogether) {
    if (!touchQuad(first / kTogether, now, shape, lane, LaneMask{1} << lane)) [[unlikely]]
      for (uint32_t index = 0; index < kTogether; ++index) {
        uint32_t by = lane + index / each;
        if (!touchOne(first + index, now, static_cast<int>(by), LaneMask{1} << by))
          inDoubt |= LaneMask{1} << by;
      }
    lane += lanesOfQuad;
  }
  return inDoubt;
}

/// Lanes that have one address: false if a look at the floor is not enough.
[[gnu::always_inline]] inline bool SharedRaces::touchGroup(uint32_t first, const Access &now,
                                                           uint32_t each, int lane,
                                                           LaneMask lanes) {
  if (now.writes && (lanes & (lanes - 1)))
    return false;
  auto by = static_cast<uint32_t>(lane);
  if (each == kTogether && touchQuad(first / kTogether, now, kByFour, by, lanes)) [[likely]]
    return true;
  bool isDone = true;
  for (uint32_t granule = first, end = first + each; granule < end;)
    if (each % kTogether == 0 && granule % kTogether == 0 &&
        touchQuad(granule / kTogether, now, kByFour, by, lanes))
      granule += kTogether;
    else
      isDone &= touchOne(granule++, now, lane, lanes);
  return isDone;
}

/// Lanes with a quad each, as ldmatrix and cp.async have them. Returns those for
/// which a look at the floor is not enough.
LaneMask SharedRaces::touchQuads(const uint64_t *addresses, LaneMask lanes, Access now) {
  LaneMask inDoubt = 0;
  uint32_t shift = static_cast<uint32_t>(std::countr_zero(granuleBytes * kTogether));
  for (; lanes; lanes &= lanes - 1) {
    int lane = std::countr_zero(lanes);
    uint32_t quad = (static_cast<uint32_t>(addresses[lane]) - kSharedBase) >> shift;
    LaneMask itself = LaneMask{1} << lane;
    if (!touchQuad(quad, now, kByFour, static_cast<uint32_t>(lane), itself) &&
        !touchGroup(quad * kTogether, now, kTogether, lane, itself)) [[unlikely]]
      inDoubt |= itself;
  }
  return inDoubt;
}

/// Rows of so many quads each. As canTouch and record, but without branches: their
/// records are far apart, and no load has to wait for what another finds.
template <uint32_t quads>
bool SharedRaces::touchRows(std::span<const uint32_t> addresses, Access now) {
  auto firstOf = [](uint32_t address) { return (address - kSharedBase) / (kRowBytes / quads); };
  bool can = true;
  for (uint32_t address : addresses)
    for (uint32_t quad = firstOf(address), end = quad + quads; quad < end; ++quad) {
      const Read &own = now.reads[quad];
      can &=
          (writes[quad].time <= now.floor) & ((own.time <= now.ownKnown) | (own.shape == kByFour));
    }
  if (!can) [[unlikely]]
    return false;
  LaneMask itself = 1;
  for (uint32_t address : addresses) {
    for (uint32_t quad = firstOf(address), end = quad + quads; quad < end; ++quad) {
      Read &own = now.reads[quad];
      LaneMask earlier = own.lanes & -LaneMask{own.time > now.ownKnown};
      own = {now.epoch, earlier | itself, now.line << 2, kByFour};
      writes[quad].lastRead = std::max(writes[quad].lastRead, now.epoch);
    }
    itself <<= 1;
  }
  return true;
}

bool SharedRaces::touchRows(std::span<const uint32_t> addresses, uint32_t warp, uint32_t line,
                            const BlockClocks &clocks) {
  const Access now = accessOf(AccessKind::Load, Strength::Weak, warp, line, clocks);
  if (!now.reads) [[unlikely]]
    return false;
  switch (granuleBytes) {
  case 4:
    return touchRows<1>(addresses, now);
  case 2:
    return touchRows<2>(addresses, now);
  default:
    return touchRows<4>(addresses, now);
  }
}

/// Records the access of those lanes for which a look at the clocks' floor is
/// enough, and returns the others.
LaneMask SharedRaces::lanesInDoubt(const LaneAccess &access, Access now) {
  if (now.strength != Strength::Weak)
    return access.lanes;
  auto shift = static_cast<uint32_t>(std::countr_zero(granuleBytes));
  auto firstOf = [&](int lane) {
    return (static_cast<uint32_t>(access.addresses[lane]) - kSharedBase) >> shift;
  };
  uint32_t each = access.bytes >> shift;
  if (access.isContiguous() && firstOf(0) % kTogether == 0 && each <= kTogether)
    return touchContiguous(firstOf(0), now, each);
  if (each == kTogether && !access.groups)
    return touchQuads(access.addresses, access.lanes, now);
  LaneMask inDoubt = 0;
  eachAddress(access.groups, access.lanes, [&](int lane, LaneMask lanes) {
    if (!touchGroup(firstOf(lane), now, each, lane, lanes)) [[unlikely]]
      inDoubt |= lanes;
  });
  return inDoubt;
}

std::optional<Conflict> SharedRaces::conflict(uint32_t granule, int lane, const Access &now) const {
  const BlockClocks &clocks = now.clocks;
  Conflict found{lane, 0, true, Strength::Weak, clocks.agent, 0, 0, 0};
  if (Write written = writeOf(granule); written.time > now.floor) {
    uint32_t otherWarp = warpOf(written), otherLane = written.writer >> 2 & 31;
    found.otherStrength = static_cast<Strength>(written.writer & 3);
    bool isSelf = otherWarp == now.warp && static_cast<int>(otherLane) == lane;
    LaneMask other = LaneMask{1} << otherLane;
    bool mayRace = !isSelf && mayConflict(now.strength, found.otherStrength, otherWarp == now.warp);
    if (mayRace && !clocks.of(now.warp, lane).knows(clocks.agent, otherWarp, other, written.time)) {
      found.otherWarp = otherWarp;
      found.otherLanes = other;
      found.otherLine = written.line;
      return found;
    }
  }
  if (!now.writes || writes[granule / kTogether].lastRead <= now.floor)
    return std::nullopt;
  found.otherWrites = false;
  for (uint32_t reader = 0; reader < reads.size(); ++reader) {
    if (!reads[reader].quads)
      continue;
    Read read = readOf(reader, granule);
    if (read.time <= now.floor)
      continue;
    LaneMask others = read.lanes;
    if (reader == now.warp)
      others &= ~(LaneMask{1} << lane);
    found.otherStrength = static_cast<Strength>(read.line & 3);
    if (!others || !mayConflict(now.strength, found.otherStrength, reader == now.warp) ||
        clocks.of(now.warp, lane).knows(clocks.agent, reader, others, read.time))
      continue;
    found.otherWarp = reader;
    found.otherLanes = others;
    found.otherLine = read.line >> 2;
    return found;
  }
  return std::nullopt;
}

void SharedRaces::accessLane(const LaneAccess &access, int lane, const Access &now,
                             Conflicts &conflicts) {
  auto address = static_cast<uint32_t>(access.addresses[lane]) - kSharedBase;
  bool isReported = false;
  for (uint32_t granule = address / granuleBytes; granule * granuleBytes < address + access.bytes;
       ++granule) {
    const Write &quad = writes[granule / kTogether];
    if (quad.time > now.floor || (now.writes && quad.lastRead > now.floor)) {
      std::optional<Conflict> found = conflict(granule, lane, now);
      if (found && !isReported) {
        isReported = true;
        found->address = access.addresses[lane];
        conflicts.report(*found);
      }
    }
    if (now.writes)
      recordWrite(granule, lane, now);
    else
      recordRead(granule, LaneMask{1} << lane, now);
  }
}

/// Whether anything in the page may be too recent for the clocks' floor.
bool SharedRaces::isRecent(uint32_t page, const Access &now) const {
  const Page &newest = pages[page];
  return newest.write > now.floor || (now.writes && newest.read > now.floor);
}

void SharedRaces::notePages(const LaneAccess &access, const Access &now) {
  eachAddress(access.groups, access.lanes, [&](int lane, LaneMask) {
    auto address = static_cast<uint32_t>(access.addresses[lane]) - kSharedBase;
    Page &page = pages[address / kPageBytes];
    Time &newest = now.writes ? page.write : page.read;
    newest = std::max(newest, now.epoch);
  });
}

std::optional<Conflict> SharedRaces::conflictIn(uint32_t begin, uint32_t end, bool isWrite,
                                                uint32_t warp, int lane,
                                                const BlockClocks &clocks) const {
  AccessKind kind = isWrite ? AccessKind::Store : AccessKind::Load;
  Access now = accessOf(kind, Strength::Weak, warp, 0, clocks);
  Time knownTime = 0; // of the last writer that the lane knows, and its warp
  uint32_t knownWarp = 0;
  auto isKnown = [&](uint32_t granule) {
    Write written = writeOf(granule);
    uint32_t writer = warpOf(written);
    Time time = written.time;
    if (isWrite && writes[granule / kTogether].lastRead > now.floor)
      return false;
    if (time <= now.floor || (time == knownTime && writer == knownWarp))
      return true;
    if (!clocks.of(warp, lane).knows(clocks.agent, writer, kAllLanes, time))
      return false;
    knownTime = time, knownWarp = writer;
    return true;
  };
  begin -= kSharedBase, end -= kSharedBase;
  while (begin < end) {
    uint32_t page = begin / kPageBytes, stop = std::min(end, (page + 1) * kPageBytes);
    for (uint32_t granule = begin / granuleBytes; granule * granuleBytes < stop; ++granule) {
      if (!isRecent(page, now))
        break;
      if (isKnown(granule))
        continue;
      if (std::optional<Conflict> found = conflict(granule, lane, now)) {
        found->address = kSharedBase + granule * granuleBytes;
        return found;
      }
    }
    begin = stop;
  }
  return std::nullopt;
}

void SharedRaces::access(const LaneAccess &access, uint32_t warp, uint32_t line,
                         const BlockClocks &clocks, Conflicts &conflicts) {
  if (access.kind == AccessKind::Load && !reads[warp].quads)
    reads[warp].quads.reset(new Read[granules / kTogether + 1]());
  Access now = accessOf(access.kind, strengthOf(access), warp, line, clocks);
  for (LaneMask rest = lanesInDoubt(access, now); rest; rest &= rest - 1)
    accessLane(access, std::countr_zero(rest), now, conflicts);
  if (!pages.empty())
    notePages(access, now);
}

} // namespace vgpu
