#include "check/SharedRaces.h"

#include "check/Vectorized.h"
#include "exec/Block.h"

#include <bit>

namespace vgpu {

SharedRaces::SharedRaces(uint32_t bytes, uint32_t granuleBytes, uint32_t warps)
    : granuleBytes(granuleBytes), granules((bytes + granuleBytes - 1) / granuleBytes),
      writeTime(new Time[granules]()), lastRead(new Time[granules]()),
      writer(new uint32_t[granules]()), writeLine(new uint32_t[granules]()), reads(warps) {}

/// A load of all lanes, in order. False, with nothing done, if a write may be
/// too recent for the clocks' floor.
VGPU_VECTORIZED bool SharedRaces::loadAll(uint32_t first, uint32_t line, uint32_t warp,
                                          const BlockClocks &clocks, uint32_t granulesPerLane) {
  uint32_t count = kWarpSize * granulesPerLane;
  Time floor = clocks.floor(warp), epoch = clocks.epoch(warp), known = clocks.ownKnown(warp);
  const Time *written = &writeTime[first];
  Time newest = 0;
  for (uint32_t index = 0; index < count; ++index)
    newest = std::max(newest, written[index]);
  if (newest > floor)
    return false;
  Time *time = &reads[warp].time[first], *last = &lastRead[first];
  LaneMask *lanes = &reads[warp].lanes[first];
  uint32_t *lines = &reads[warp].line[first];
  uint32_t shift = static_cast<uint32_t>(std::countr_zero(granulesPerLane));
  for (uint32_t index = 0; index < count; ++index) {
    LaneMask before = time[index] > known ? lanes[index] : 0;
    lanes[index] = before | LaneMask{1} << (index >> shift);
    lines[index] = line << 2;
    time[index] = last[index] = epoch;
  }
  return true;
}

VGPU_VECTORIZED bool SharedRaces::storeAll(uint32_t first, uint32_t line, uint32_t warp,
                                           const BlockClocks &clocks, uint32_t granulesPerLane) {
  uint32_t count = kWarpSize * granulesPerLane;
  Time floor = clocks.floor(warp), epoch = clocks.epoch(warp);
  Time *written = &writeTime[first];
  const Time *read = &lastRead[first];
  Time newest = 0;
  for (uint32_t index = 0; index < count; ++index)
    newest = std::max(newest, std::max(written[index], read[index]));
  if (newest > floor)
    return false;
  uint32_t shift = static_cast<uint32_t>(std::countr_zero(granulesPerLane));
  uint32_t *by = &writer[first], *lines = &writeLine[first];
  for (uint32_t index = 0; index < count; ++index) {
    written[index] = epoch;
    by[index] = warp << 7 | (index >> shift) << 2;
    lines[index] = line;
  }
  return true;
}

std::optional<Conflict> SharedRaces::conflict(uint32_t granule, uint32_t warp, int lane,
                                              bool writes, Strength strength,
                                              const BlockClocks &clocks) const {
  Time floor = clocks.floor(warp);
  Conflict found{lane, 0, true, Strength::Weak, clocks.agent, 0, 0, 0};
  if (writeTime[granule] > floor) {
    uint32_t by = writer[granule], otherWarp = by >> 7, otherLane = by >> 2 & 31;
    found.otherStrength = static_cast<Strength>(by & 3);
    bool isSelf = otherWarp == warp && static_cast<int>(otherLane) == lane;
    LaneMask other = LaneMask{1} << otherLane;
    bool mayRace = !isSelf && mayConflict(strength, found.otherStrength, otherWarp == warp);
    if (mayRace &&
        !clocks.of(warp, lane).knows(clocks.agent, otherWarp, other, writeTime[granule])) {
      found.otherWarp = otherWarp;
      found.otherLanes = other;
      found.otherLine = writeLine[granule];
      return found;
    }
  }
  if (!writes || lastRead[granule] <= floor)
    return std::nullopt;
  found.otherWrites = false;
  for (uint32_t reader = 0; reader < reads.size(); ++reader) {
    if (!reads[reader].time || reads[reader].time[granule] <= floor)
      continue;
    LaneMask others = reads[reader].lanes[granule];
    if (reader == warp)
      others &= ~(LaneMask{1} << lane);
    found.otherStrength = static_cast<Strength>(reads[reader].line[granule] & 3);
    if (!others || !mayConflict(strength, found.otherStrength, reader == warp) ||
        clocks.of(warp, lane).knows(clocks.agent, reader, others, reads[reader].time[granule]))
      continue;
    found.otherWarp = reader;
    found.otherLanes = others;
    found.otherLine = reads[reader].line[granule] >> 2;
    return found;
  }
  return std::nullopt;
}

void SharedRaces::recordRead(uint32_t granule, uint32_t warp, int lane, uint32_t line,
                             Strength strength, const BlockClocks &clocks) {
  Reads &own = reads[warp];
  bool isOld = own.time[granule] <= clocks.ownKnown(warp);
  LaneMask before = isOld ? 0 : own.lanes[granule];
  auto least = static_cast<uint32_t>(strength);
  if (before)
    least = std::min(least, own.line[granule] & 3);
  own.lanes[granule] = before | LaneMask{1} << lane;
  own.line[granule] = line << 2 | least;
  own.time[granule] = lastRead[granule] = clocks.epoch(warp);
}

void SharedRaces::accessLane(const MemoryAccess &access, int lane, uint32_t line,
                             const BlockClocks &clocks, Conflicts &conflicts) {
  uint32_t warp = access.warp.index;
  bool writes = access.kind != AccessKind::Load;
  Strength strength = strengthOf(access);
  auto address = static_cast<uint32_t>(access.addresses[lane]) - kSharedBase;
  bool isReported = false;
  for (uint32_t granule = address / granuleBytes; granule * granuleBytes < address + access.bytes;
       ++granule) {
    if (writeTime[granule] > clocks.floor(warp) || (writes && lastRead[granule])) {
      std::optional<Conflict> found = conflict(granule, warp, lane, writes, strength, clocks);
      if (found && !isReported) {
        isReported = true;
        found->address = access.addresses[lane];
        conflicts.report(*found);
      }
    }
    if (!writes) {
      recordRead(granule, warp, lane, line, strength, clocks);
      continue;
    }
    writeTime[granule] = clocks.epoch(warp);
    writer[granule] =
        warp << 7 | static_cast<uint32_t>(lane) << 2 | static_cast<uint32_t>(strength);
    writeLine[granule] = line;
  }
}

void SharedRaces::access(const MemoryAccess &access, uint32_t line, const BlockClocks &clocks,
                         Conflicts &conflicts) {
  uint32_t warp = access.warp.index;
  Reads &own = reads[warp];
  if (access.kind == AccessKind::Load && !own.time)
    own = {std::unique_ptr<Time[]>(new Time[granules]()),
           std::unique_ptr<LaneMask[]>(new LaneMask[granules]()),
           std::unique_ptr<uint32_t[]>(new uint32_t[granules]())};
  if (access.isContiguous && strengthOf(access) == Strength::Weak) {
    uint32_t first = (static_cast<uint32_t>(access.addresses[0]) - kSharedBase) / granuleBytes;
    uint32_t each = access.bytes / granuleBytes;
    if (access.kind == AccessKind::Load ? loadAll(first, line, warp, clocks, each)
                                        : storeAll(first, line, warp, clocks, each))
      return;
  }
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1)
    accessLane(access, std::countr_zero(rest), line, clocks, conflicts);
}

} // namespace vgpu
