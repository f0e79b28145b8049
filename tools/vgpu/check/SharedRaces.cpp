#include "check/SharedRaces.h"

#include "exec/Block.h"

#include <bit>

namespace vgpu {

namespace {

typedef int32_t Mask4 __attribute__((vector_size(16)));
typedef uint64_t Halves __attribute__((vector_size(16)));

template <class V> bool isAny(const V &mask) {
  Halves halves = (Halves)mask;
  return halves[0] | halves[1];
}

} // namespace

SharedRaces::SharedRaces(uint32_t bytes, uint32_t granuleBytes, uint32_t warps, bool hasRanges)
    : granuleBytes(granuleBytes), granules(countOf(bytes, granuleBytes)),
      pages(hasRanges ? bytes / kPageBytes + 1 : 0), writes(new Writes[granules / kTogether + 1]()),
      reads(warps) {}

/// Records that the lanes of the masks access four granules. False, with nothing
/// done, if something may be too recent for the clocks' floor. Stamps are
/// compared as signed numbers, which the processor can do: they are small.
inline bool SharedRaces::touchFour(uint32_t granule, const Access &now, const Four &lanes) {
  Writes &written = writesOf(granule);
  Mask4 floor = static_cast<int32_t>(now.floor) - Mask4{};
  Mask4 recent = (Mask4)written.time > floor;
  if (!now.writes) {
    if (isAny(recent)) [[unlikely]]
      return false;
    Reads &own = reads[now.warp][granule / kTogether];
    Mask4 known = static_cast<int32_t>(now.ownKnown) - Mask4{};
    own.lanes = (own.lanes & (Four)((Mask4)own.time > known)) | lanes;
    own.line = (now.line << 2) - Four{};
    own.time = written.lastRead = now.epoch - Four{};
    return true;
  }
  if (isAny(recent | ((Mask4)written.lastRead > floor))) [[unlikely]]
    return false;
  Four lane{};
  for (uint32_t index = 0; index < kTogether; ++index)
    lane[index] = static_cast<uint32_t>(std::countr_zero(lanes[index]));
  written.time = now.epoch - Four{};
  written.writer = (now.warp << 7 | lane << 2);
  written.line = now.line - Four{};
  return true;
}

inline bool SharedRaces::touchOne(uint32_t granule, const Access &now, int lane) {
  Writes &written = writesOf(granule);
  uint32_t index = granule % kTogether;
  if (written.time[index] > now.floor || (now.writes && written.lastRead[index] > now.floor))
    return false;
  if (now.writes) {
    written.time[index] = now.epoch;
    written.writer[index] = now.warp << 7 | static_cast<uint32_t>(lane) << 2;
    written.line[index] = now.line;
  } else {
    recordRead(granule, lane, now);
  }
  return true;
}

/// All lanes, in order; `first` is a multiple of four. Returns the lanes for
/// which something may be too recent.
LaneMask SharedRaces::touchContiguous(uint32_t first, const Access &now, uint32_t each) {
  LaneMask inDoubt = 0;
  auto log = static_cast<uint32_t>(std::countr_zero(each));
  Four lanes;
  for (uint32_t index = 0; index < kTogether; ++index)
    lanes[index] = LaneMask{1} << (index >> log);
  for (uint32_t granule = first; granule < first + kWarpSize * each; granule += kTogether) {
    Four shifted = lanes << ((granule - first) >> log);
    if (!touchFour(granule, now, shifted)) [[unlikely]]
      inDoubt |= shifted[0] | shifted[1] | shifted[2] | shifted[3];
  }
  return inDoubt;
}

/// Records the access of those lanes for which a look at the clocks' floor is
/// enough, and returns the others.
LaneMask SharedRaces::lanesInDoubt(const MemoryAccess &access, const Access &now) {
  if (now.strength != Strength::Weak)
    return access.lanes;
  auto shift = static_cast<uint32_t>(std::countr_zero(granuleBytes));
  auto firstOf = [&](int lane) {
    return (static_cast<uint32_t>(access.addresses[lane]) - kSharedBase) >> shift;
  };
  uint32_t each = access.bytes >> shift;
  if (access.isContiguous && firstOf(0) % kTogether == 0)
    return touchContiguous(firstOf(0), now, each);
  LaneMask inDoubt = 0;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    uint32_t first = firstOf(lane), end = first + each;
    bool isDone = true;
    if (each % kTogether == 0)
      for (; first < end; first += kTogether)
        isDone &= touchFour(first, now, (LaneMask{1} << lane) - Four{});
    else
      for (; first < end; ++first)
        isDone &= touchOne(first, now, lane);
    if (!isDone) [[unlikely]]
      inDoubt |= LaneMask{1} << lane;
  }
  return inDoubt;
}

std::optional<Conflict> SharedRaces::conflict(uint32_t granule, int lane, const Access &now) const {
  const BlockClocks &clocks = now.clocks;
  Conflict found{lane, 0, true, Strength::Weak, clocks.agent, 0, 0, 0};
  const Writes &written = writesOf(granule);
  uint32_t index = granule % kTogether;
  if (Time time = written.time[index]; time > now.floor) {
    uint32_t by = written.writer[index], otherWarp = by >> 7, otherLane = by >> 2 & 31;
    found.otherStrength = static_cast<Strength>(by & 3);
    bool isSelf = otherWarp == now.warp && static_cast<int>(otherLane) == lane;
    LaneMask other = LaneMask{1} << otherLane;
    bool mayRace = !isSelf && mayConflict(now.strength, found.otherStrength, otherWarp == now.warp);
    if (mayRace && !clocks.of(now.warp, lane).knows(clocks.agent, otherWarp, other, time)) {
      found.otherWarp = otherWarp;
      found.otherLanes = other;
      found.otherLine = written.line[index];
      return found;
    }
  }
  if (!now.writes || written.lastRead[index] <= now.floor)
    return std::nullopt;
  found.otherWrites = false;
  for (uint32_t reader = 0; reader < reads.size(); ++reader) {
    if (!reads[reader])
      continue;
    const Reads &read = reads[reader][granule / kTogether];
    Time time = read.time[index];
    if (time <= now.floor)
      continue;
    LaneMask others = read.lanes[index];
    if (reader == now.warp)
      others &= ~(LaneMask{1} << lane);
    found.otherStrength = static_cast<Strength>(read.line[index] & 3);
    if (!others || !mayConflict(now.strength, found.otherStrength, reader == now.warp) ||
        clocks.of(now.warp, lane).knows(clocks.agent, reader, others, time))
      continue;
    found.otherWarp = reader;
    found.otherLanes = others;
    found.otherLine = read.line[index] >> 2;
    return found;
  }
  return std::nullopt;
}

void SharedRaces::recordRead(uint32_t granule, int lane, const Access &now) {
  Reads &own = reads[now.warp][granule / kTogether];
  uint32_t index = granule % kTogether;
  LaneMask before = own.time[index] <= now.ownKnown ? 0 : own.lanes[index];
  auto least = static_cast<uint32_t>(now.strength);
  if (before)
    least = std::min(least, own.line[index] & 3);
  own.lanes[index] = before | LaneMask{1} << lane;
  own.line[index] = now.line << 2 | least;
  own.time[index] = writesOf(granule).lastRead[index] = now.epoch;
}

void SharedRaces::accessLane(const MemoryAccess &access, int lane, const Access &now,
                             Conflicts &conflicts) {
  auto address = static_cast<uint32_t>(access.addresses[lane]) - kSharedBase;
  bool isReported = false;
  for (uint32_t granule = address / granuleBytes; granule * granuleBytes < address + access.bytes;
       ++granule) {
    Writes &written = writesOf(granule);
    uint32_t index = granule % kTogether;
    if (written.time[index] > now.floor || (now.writes && written.lastRead[index] > now.floor)) {
      std::optional<Conflict> found = conflict(granule, lane, now);
      if (found && !isReported) {
        isReported = true;
        found->address = access.addresses[lane];
        conflicts.report(*found);
      }
    }
    if (!now.writes) {
      recordRead(granule, lane, now);
      continue;
    }
    written.time[index] = now.epoch;
    written.writer[index] =
        now.warp << 7 | static_cast<uint32_t>(lane) << 2 | static_cast<uint32_t>(now.strength);
    written.line[index] = now.line;
  }
}

/// Whether anything in the page may be too recent for the clocks' floor.
bool SharedRaces::isRecent(uint32_t page, const Access &now) const {
  const Page &newest = pages[page];
  return newest.write > now.floor || (now.writes && newest.read > now.floor);
}

void SharedRaces::notePages(const MemoryAccess &access, const Access &now) {
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    auto address = static_cast<uint32_t>(access.addresses[std::countr_zero(rest)]) - kSharedBase;
    Page &page = pages[address / kPageBytes];
    (now.writes ? page.write : page.read) = now.epoch;
  }
}

std::optional<Conflict> SharedRaces::conflictIn(uint32_t begin, uint32_t end, bool isWrite,
                                                uint32_t warp, int lane,
                                                const BlockClocks &clocks) const {
  Access now{clocks,
             warp,
             0,
             isWrite,
             Strength::Weak,
             clocks.epoch(warp),
             std::max(clocks.floor(warp), birth),
             std::max(clocks.ownKnown(warp), birth)};
  Time knownTime = 0; // of the last writer that the lane knows, and its warp
  uint32_t knownWarp = 0;
  auto isKnown = [&](uint32_t granule) {
    const Writes &written = writesOf(granule);
    uint32_t index = granule % kTogether, writer = written.writer[index] >> 7;
    Time time = written.time[index];
    if (isWrite && written.lastRead[index] > now.floor)
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

void SharedRaces::access(const MemoryAccess &access, uint32_t line, const BlockClocks &clocks,
                         Conflicts &conflicts) {
  uint32_t warp = access.warp.index;
  if (access.kind == AccessKind::Load && !reads[warp])
    reads[warp].reset(new Reads[granules / kTogether + 1]());
  Access now{clocks,
             warp,
             line,
             access.kind != AccessKind::Load,
             strengthOf(access),
             clocks.epoch(warp),
             std::max(clocks.floor(warp), birth),
             std::max(clocks.ownKnown(warp), birth)};
  for (LaneMask rest = lanesInDoubt(access, now); rest; rest &= rest - 1)
    accessLane(access, std::countr_zero(rest), now, conflicts);
  if (!pages.empty())
    notePages(access, now);
}

} // namespace vgpu
