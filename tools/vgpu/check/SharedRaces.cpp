#include "check/SharedRaces.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vgpu {

SharedRaces::SharedRaces(uint32_t bytes, uint32_t granuleBytes, uint32_t warps)
    : granuleBytes(granuleBytes), granules(countOf(bytes, granuleBytes)),
      quadLog(std::countr_zero(kTogether * granuleBytes)), pageWrites(bytes / kPageBytes + 1),
      pageReads(pageWrites.size()), writes(new Write[granules / kTogether + 1]()), reads(warps) {}

void SharedRaces::reuse(Time now) {
  birth = now;
  for (Reads &of : reads)
    of.logged = 0;
}

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
  splitWrites[granule] = {now.epoch, writer, now.line};
  quad.time = std::max(quad.time, now.epoch);
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
}

/// As this, for a quad.
void SharedRaces::recordQuad(uint32_t quad, LaneMask lanes, const Access &now) {
  Read &own = now.reads[quad];
  if (own.time <= now.ownKnown || own.shape == kByFour)
    return record(writes[quad], &own, now, kByFour, 0, lanes);
  for (uint32_t granule = quad * kTogether; granule < (quad + 1) * kTogether; ++granule)
    recordRead(granule, lanes, now);
}

/// Whether a warp has read some of the quad, of what is recorded.
bool SharedRaces::isReadSince(Time time, uint32_t quad) const {
  return std::any_of(reads.begin(), reads.end(),
                     [=](const Reads &of) { return of.quads && of.quads[quad].time > time; });
}

/// Records a weak access to a whole quad. False, with nothing done, if it is in doubt.
[[gnu::always_inline]] inline bool SharedRaces::touchQuad(uint32_t quad, const Access &now,
                                                          Shape shape, uint32_t lane,
                                                          LaneMask lanes) {
  if (!canTouch(quad, now, shape)) [[unlikely]]
    return false;
  record(writes[quad], now.readsOf(quad), now, shape, lane, lanes);
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
  if (now.mayMeetReads && isReadSince(now.floor, granule / kTogether))
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
  for (; lanes; lanes &= lanes - 1) {
    int lane = std::countr_zero(lanes);
    uint32_t quad = firstQuadOf(static_cast<uint32_t>(addresses[lane]));
    LaneMask itself = LaneMask{1} << lane;
    if (!touchQuad(quad, now, kByFour, static_cast<uint32_t>(lane), itself) &&
        !touchGroup(quad * kTogether, now, kTogether, lane, itself)) [[unlikely]]
      inDoubt |= itself;
  }
  return inDoubt;
}

/// As canTouch and record, but without branches: the records are far apart, and no load
/// has to wait for what another finds. Rows that do not ascend may be one.
template <uint32_t quads>
bool SharedRaces::writeRows(const std::array<uint32_t, kWarpSize> &rows, Access now) {
  Write *known = writes.get();
  uint32_t end = 0;
  bool can = true;
  for (uint32_t row : rows) {
    can &= row >= end;
    end = row + kRowBytes;
    for (uint32_t quad = 0; quad < quads; ++quad)
      can &= known[(row - kSharedBase) / kRowBytes * quads + quad].time <= now.floor;
  }
  uint32_t begin = rows.front() - kSharedBase;
  end -= kSharedBase;
  if (!can || anySince(now.floor, pageReads, begin, end)) [[unlikely]]
    return false;
  typedef uint32_t Words __attribute__((vector_size(sizeof(Write))));
  Words write{now.epoch, writerOf(now.warp, 0, kByFour, Strength::Weak), now.line, 0};
  const Words nextLane{0, writerOf(0, 1, kByOne, Strength::Weak), 0, 0};
  for (uint32_t row : rows) {
    for (uint32_t quad = 0; quad < quads; ++quad)
      std::memcpy(&known[(row - kSharedBase) / kRowBytes * quads + quad], &write, sizeof write);
    write += nextLane;
  }
  note(now.epoch, pageWrites, begin, end);
  return true;
}

bool SharedRaces::writeRows(const std::array<uint32_t, kWarpSize> &rows, uint32_t warp,
                            uint32_t line, const BlockClocks &clocks) {
  const Access now = accessOf(AccessKind::Store, Strength::Weak, warp, line, clocks);
  switch (granuleBytes) {
  case 4:
    return writeRows<1>(rows, now);
  case 2:
    return writeRows<2>(rows, now);
  default:
    return writeRows<4>(rows, now);
  }
}

uint32_t *SharedRaces::rowsToRead(uint32_t warp, const BlockClocks &clocks) {
  Reads &own = reads[warp];
  if (!own.log) [[unlikely]]
    own.log.reset(new LoggedRows[kMostLogged]);
  if (own.logged == kMostLogged) { // what all warps know is not asked for any more
    Time known = clocks.ownKnown(warp);
    for (uint32_t other = 0; other < reads.size(); ++other)
      known = std::min(known, clocks.floor(other));
    LoggedRows *begin = own.log.get(), *end = begin + own.logged;
    LoggedRows *kept = std::find_if(begin, end, [=](auto &read) { return read.epoch > known; });
    own.logged = static_cast<uint32_t>(std::copy(kept, end, begin) - begin);
  }
  if (own.logged == kMostLogged)
    recordLog(warp, clocks);
  return own.log[own.logged].rows;
}

bool SharedRaces::readRows(uint32_t count, SharedRange hull, uint32_t warp, uint32_t line,
                           const BlockClocks &clocks) {
  const Access now = accessOf(AccessKind::Load, Strength::Weak, warp, line, clocks);
  LoggedRows &read = reads[warp].log[reads[warp].logged];
  uint32_t begin = hull.begin - kSharedBase, end = hull.end - kSharedBase;
  if (anySince(now.floor, pageWrites, begin, end)) {
    Time newest = 0;
    for (uint32_t number = 0; number < count; ++number)
      for (uint32_t quad = 0; quad < quadsOfRow(); ++quad)
        newest = std::max(newest, writes[firstQuadOf(read.rows[number]) + quad].time);
    if (newest > now.floor) [[unlikely]]
      return false;
  }
  read.epoch = now.epoch, read.ownKnown = now.ownKnown;
  read.line = line, read.count = count;
  ++reads[warp].logged;
  note(now.epoch, pageReads, begin, end);
  return true;
}

/// As if what the warp has read had been recorded at once.
void SharedRaces::recordLog(uint32_t warp, const BlockClocks &clocks) {
  Reads &own = reads[warp];
  if (!own.quads)
    own.quads.reset(new Read[granules / kTogether + 1]());
  for (uint32_t number = 0; number < own.logged; ++number) {
    const LoggedRows &read = own.log[number];
    Access then = accessOf(AccessKind::Load, Strength::Weak, warp, read.line, clocks);
    then.epoch = read.epoch, then.ownKnown = read.ownKnown;
    for (uint32_t lane = 0; lane < read.count; ++lane)
      for (uint32_t quad = 0; quad < quadsOfRow(); ++quad)
        recordQuad(firstQuadOf(read.rows[lane]) + quad, LaneMask{1} << lane, then);
  }
  own.logged = 0;
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
  if (!now.mayMeetReads)
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
    uint32_t quad = granule / kTogether;
    if (writes[quad].time > now.floor || (now.mayMeetReads && isReadSince(now.floor, quad))) {
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

bool SharedRaces::mayMeetReads(const LaneAccess &access, const Access &now) const {
  bool may = false;
  eachAddress(access.groups, access.lanes, [&](int lane, LaneMask) {
    auto address = static_cast<uint32_t>(access.addresses[lane]) - kSharedBase;
    may |= anySince(now.floor, pageReads, address, address + access.bytes);
  });
  return may;
}

void SharedRaces::notePages(const LaneAccess &access, const Access &now) {
  Pages &pages = now.writes ? pageWrites : pageReads;
  eachAddress(access.groups, access.lanes, [&](int lane, LaneMask) {
    auto address = static_cast<uint32_t>(access.addresses[lane]) - kSharedBase;
    note(now.epoch, pages, address, address + access.bytes);
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
    if (now.mayMeetReads && isReadSince(now.floor, granule / kTogether))
      return false;
    if (time <= now.floor || (time == knownTime && writer == knownWarp))
      return true;
    if (!clocks.of(warp, lane).knows(clocks.agent, writer, kAllLanes, time))
      return false;
    knownTime = time, knownWarp = writer;
    return true;
  };
  begin -= kSharedBase, end -= kSharedBase;
  if (!anySince(now.floor, pageWrites, begin, end) &&
      !(isWrite && anySince(now.floor, pageReads, begin, end)))
    return std::nullopt;
  while (begin < end) {
    uint32_t stop = std::min(end, (begin / kPageBytes + 1) * kPageBytes);
    now.mayMeetReads = isWrite && anySince(now.floor, pageReads, begin, stop);
    bool isRecent = now.mayMeetReads || anySince(now.floor, pageWrites, begin, stop);
    for (uint32_t granule = begin / granuleBytes; granule * granuleBytes < stop; ++granule) {
      if (!isRecent)
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
  if (access.kind == AccessKind::Load && (!reads[warp].quads || reads[warp].logged))
    recordLog(warp, clocks);
  Access now = accessOf(access.kind, strengthOf(access), warp, line, clocks);
  now.mayMeetReads = now.writes && mayMeetReads(access, now);
  if (now.mayMeetReads)
    for (uint32_t reader = 0; reader < reads.size(); ++reader)
      if (reads[reader].logged)
        recordLog(reader, clocks);
  for (LaneMask rest = lanesInDoubt(access, now); rest; rest &= rest - 1)
    accessLane(access, std::countr_zero(rest), now, conflicts);
  notePages(access, now);
}

} // namespace vgpu
