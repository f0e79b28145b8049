#include "check/GlobalRaces.h"

namespace vgpu {
namespace {

/// The lanes that accessed a cell of 2 to the `log` bytes.
LaneMask lanesOf(const CellRecord &record, uint32_t log) {
  if (record.hasMoreLanes)
    return kAllLanes;
  uint32_t count = record.widthLog < log ? 1u << (log - record.widthLog) : 1;
  return ((LaneMask{2} << (count - 1)) - 1) << record.lane;
}

/// The size of the cells that keep the lanes apart which share this one, as a
/// power of two.
uint32_t apart(GlobalShadow::Cell cell, uint32_t log, CellRecord record) {
  for (const CellRecord &known : {cell.write, cell.reads.last, cell.reads.before, record})
    if (known.time)
      log = std::min<uint32_t>(log, known.widthLog);
  return log;
}

} // namespace

/// Whether what `earlier` says comes before the access for all lanes of
/// `record`. What may be at the same time does not.
bool GlobalRaces::followsUnsettled(const CellRecord &earlier, uint32_t log, const Access &access,
                                   CellRecord record) const {
  const BlockClocks &clocks = access.context->clocks;
  Agent agent = epochs.agentOf(earlier.time);
  uint32_t warp = epochs.warpOf(earlier.time), own = access.context->warp;
  auto strength = static_cast<Strength>(earlier.strength);
  auto ownStrength = static_cast<Strength>(record.strength);
  if (agent != clocks.agent) {
    bool bothReach = std::min(earlier.scope, record.scope) >= static_cast<uint32_t>(Scope::Device);
    if ((!mayConflict(ownStrength, strength, false) && bothReach) ||
        (access.context->conflicts && access.context->conflicts->isOrdered(agent)))
      return true;
  } else {
    if (earlier.time <= clocks.floor(own) ||
        !(ownStrength == Strength::Weak || strength == Strength::Weak))
      return true;
    bool isSameLanes = !earlier.hasMoreLanes && !record.hasMoreLanes &&
                       earlier.lane == record.lane &&
                       std::min<uint32_t>(earlier.widthLog, log) == record.widthLog;
    if (warp == own && (earlier.time <= access.ownKnown || isSameLanes))
      return true;
  }
  const Clock *last = nullptr;
  for (LaneMask lanes = lanesOf(record, log); lanes; lanes &= lanes - 1) {
    const Clock &clock = clocks.of(own, std::countr_zero(lanes));
    if (&clock != last && !clock.knows(agent, warp, lanesOf(earlier, log), earlier.time))
      return false;
    last = &clock;
  }
  return true;
}

/// What the access leaves in a cell that begins `offset` bytes behind the first of `lane`.
inline CellRecord GlobalRaces::recordOf(const Access &access, uint32_t log, uint32_t lane,
                                        uint32_t offset) {
  CellRecord record = access.record;
  record.lane = lane + (offset >> access.laneLog);
  record.widthLog = std::min<uint32_t>(record.widthLog, log);
  return record;
}

/// False, with nothing done, if the record would say less than smaller cells can.
inline bool GlobalRaces::recordRead(Cell cell, uint32_t log, const Access &access,
                                    CellRecord record) const {
  auto &[last, before] = cell.reads;
  if (last.time > access.start) {
    if (!epochs.isOf(access.owner, last.time)) {
      before = last;
    } else if (last.time > access.ownKnown &&
               (last.hasMoreLanes || last.lane != record.lane ||
                std::min<uint32_t>(last.widthLog, log) != record.widthLog)) {
      if (std::min<uint32_t>(last.widthLog, record.widthLog) < log)
        return false;
      record.hasMoreLanes = true;
    }
  }
  last = record;
  return true;
}

/// Records the access to one cell. False, with nothing done, if the access does
/// not follow something, as far as cells of this size can tell.
inline bool GlobalRaces::touchCell(Page &page, uint32_t offset, uint32_t log, const Access &access,
                                   CellRecord record) const {
  Cell cell = page.cell(offset, log);
  auto &[write, reads] = cell;
  if (access.isLoad)
    return reads.last == record || ((!access.context || page.newestWrite(offset) <= access.start ||
                                     follows(write, log, access, record)) &&
                                    recordRead(cell, log, access, record));
  if ((!(write == record) && !follows(write, log, access, record)) ||
      !follows(reads.last, log, access, record) || !follows(reads.before, log, access, record))
    return false;
  write = record;
  reads = {};
  page.noteWrite(offset, record.time);
  return true;
}

/// Records the access of lanes from `lane` on to bytes that follow each other. False
/// if cells have not the size that they want, or if `touchCell` is in doubt; what has
/// been recorded then is recorded again.
inline bool GlobalRaces::touch(const Access &access, uint64_t address, uint32_t bytes,
                               uint32_t lane) {
  auto first = static_cast<uint32_t>(address % GlobalShadow::kPageBytes), end = first + bytes;
  if (end > GlobalShadow::kPageBytes) [[unlikely]]
    return false;
  Page &page = shadow.page(address);
  for (uint32_t offset = first; offset < end;) {
    uint32_t stop = std::min(end, (offset | (kLineBytes - 1)) + 1);
    for (uint32_t log = fittingLog(offset, stop - offset); offset < stop; offset += 1u << log)
      if (page.log(offset) != log ||
          !touchCell(page, offset, log, access, recordOf(access, log, lane, offset - first)))
          [[unlikely]]
        return false;
  }
  return true;
}

bool GlobalRaces::touchUnsettled(uint64_t address, uint32_t each, AccessKind kind,
                                 const Context &context) {
  LaneAccess access{kind, Order::Weak, Scope::None, false, each, kAllLanes, nullptr};
  return touch(accessOf(access, context), address, kWarpSize * each, 0);
}

void GlobalRaces::report(Cell cell, uint32_t log, const Access &access, CellRecord record,
                         uint64_t address) const {
  auto tell = [&](const CellRecord &earlier, bool writes) {
    Agent agent = epochs.agentOf(earlier.time);
    LaneMask lanes = lanesOf(earlier, log);
    if (epochs.isOf(access.owner, earlier.time))
      lanes &= ~(LaneMask{1} << record.lane);
    access.context->conflicts->report({static_cast<int>(record.lane), address, writes,
                                       static_cast<Strength>(earlier.strength), agent,
                                       epochs.warpOf(earlier.time), lanes, earlier.line});
  };
  if (!follows(cell.write, log, access, record))
    return tell(cell.write, true);
  for (const CellRecord &read : {cell.reads.last, cell.reads.before})
    if (!access.isLoad && !follows(read, log, access, record))
      return tell(read, false);
}

/// A cell that `touch` leaves in doubt, and that smaller cells cannot settle.
void GlobalRaces::settleCell(Page &page, const Access &access, uint32_t offset, CellRecord record,
                             uint64_t address) {
  uint32_t log = page.log(offset);
  Cell cell = page.cell(offset, log);
  if (access.context)
    report(cell, log, access, record, address);
  if (access.isLoad) {
    recordRead(cell, log, access, record);
    return;
  }
  cell.write = record;
  cell.reads = {};
  page.noteWrite(offset, record.time);
}

/// What `touch` leaves in doubt: the cells get the size that the access needs, and
/// conflicts are reported.
void GlobalRaces::settle(const Access &access, uint64_t address, uint32_t bytes, uint32_t lane) {
  for (uint64_t at = address, end = address + bytes; at < end;) {
    Page &page = shadow.page(at);
    auto offset = static_cast<uint32_t>(at % GlobalShadow::kPageBytes);
    auto inLine = static_cast<uint32_t>(std::min(end, (at | (kLineBytes - 1)) + 1) - at);
    if (uint32_t log = fittingLog(offset, inLine); page.log(offset) != log)
      page.fit(offset, log, access.start);
    for (uint64_t stop = at + inLine; at < stop;) {
      uint32_t log = page.log(offset);
      CellRecord record = recordOf(access, log, lane, static_cast<uint32_t>(at - address));
      if (!touchCell(page, offset, log, access, record)) {
        if (uint32_t finer = apart(page.cell(offset, log), log, record); finer < log) {
          page.fit(offset, finer, access.start);
          continue;
        }
        settleCell(page, access, offset, record, at);
      }
      at += 1u << log;
      offset += 1u << log;
    }
  }
}

/// Lanes that load from one address, which one of them has just done. False, and
/// to be done again lane by lane, if something cannot be said of all of them.
bool GlobalRaces::loadTogether(const Access &access, uint64_t address, uint32_t bytes,
                               LaneMask others) {
  Page &page = shadow.page(address);
  auto first = static_cast<uint32_t>(address % GlobalShadow::kPageBytes);
  uint32_t log = page.log(first);
  if (log > access.record.widthLog)
    return false;
  CellRecord record = access.record;
  record.lane = static_cast<uint32_t>(std::countr_zero(others));
  record.hasMoreLanes = true;
  record.widthLog = log;
  for (uint32_t offset = first; offset < first + bytes; offset += 1u << log)
    if (!touchCell(page, offset, log, access, record))
      return false;
  return true;
}

GlobalRaces::Access GlobalRaces::accessOf(const LaneAccess &access, const Context &context) {
  const BlockClocks &clocks = context.clocks;
  return {&context,
          clocks.start,
          clocks.ownKnown(context.warp),
          Epochs::ownerOf(clocks.agent, context.warp),
          access.kind == AccessKind::Load,
          static_cast<uint32_t>(std::countr_zero(access.bytes)),
          recordOf(context, strengthOf(access), access.scope, access.bytes)};
}

void GlobalRaces::accessGroups(const LaneAccess &access, const Access &now) {
  eachAddress(access.groups, access.lanes, [&](int lane, LaneMask lanes) {
    uint64_t address = access.addresses[lane];
    auto touchOne = [&](int by) {
      if (!touch(now, address, access.bytes, static_cast<uint32_t>(by)))
        settle(now, address, access.bytes, static_cast<uint32_t>(by));
    };
    touchOne(lane);
    LaneMask others = lanes & (lanes - 1);
    if (others && loadTogether(now, address, access.bytes, others))
      return;
    for (; others; others &= others - 1)
      touchOne(std::countr_zero(others));
  });
}

/// What is far apart is not in the processor's caches: it is sought together.
inline void GlobalRaces::seek(const uint64_t *addresses, LaneMask runs) {
  if (runs & (runs - 1))
    for (; runs; runs &= runs - 1) {
      uint64_t address = addresses[std::countr_zero(runs)];
      shadow.page(address).prefetch(static_cast<uint32_t>(address % GlobalShadow::kPageBytes));
    }
}

bool GlobalRaces::storeRuns(GlobalRegion &region, const uint64_t *addresses, LaneMask runs,
                            uint32_t each, const Context &context) {
  if (!region.reads.isEmpty())
    return false;
  noteWrite(region, context);
  seek(addresses, runs);
  const Access now = accessOf(
      {AccessKind::Store, Order::Weak, Scope::None, false, each, kAllLanes, addresses}, context);
  bool isDone = true;
  eachRun(runs, kAllLanes, each, [&](int lane, uint32_t bytes) {
    isDone = isDone && touch(now, addresses[lane], bytes, static_cast<uint32_t>(lane));
  });
  return isDone;
}

void GlobalRaces::accessNow(const LaneAccess &access, const Access &now) {
  if (access.groups && now.isLoad)
    return accessGroups(access, now);
  seek(access.addresses, access.runs);
  eachRun(access.runs, access.lanes, access.bytes, [&](int lane, uint32_t bytes) {
    uint64_t address = access.addresses[lane];
    if (!touch(now, address, bytes, static_cast<uint32_t>(lane)))
      settle(now, address, bytes, static_cast<uint32_t>(lane));
  });
}

void GlobalRaces::access(const LaneAccess &access, const Context &context) {
  if (logAccess(access, context))
    return;
  meetDirectly(access, context);
  accessNow(access, accessOf(access, context));
}

void GlobalRaces::accessPieces(const LaneAccess &access, int lane, const BulkPieces &pieces,
                               const Context &context) {
  Access now = accessOf(access, context);
  now.record.widthLog = GlobalShadow::kLineLog;
  now.laneLog = kOneLane;
  GlobalRegion *logged = nullptr; // of the rows that are in the log, but not counted yet
  uint32_t *places = nullptr, rows = 0;
  auto close = [&] {
    if (logged)
      logRows(*logged, lane, rows, context);
    logged = nullptr;
  };
  for (auto [shared, bytes, address] : pieces) {
    if (!address)
      continue;
    bool isAgain = logged && logged->contains(address, bytes);
    GlobalRegion &region = isAgain ? *logged : regions.of(context.line, address);
    if (access.kind == AccessKind::Load && canLog(region, 1, context.clocks)) {
      if (!isAgain || *places != bytes || rows == LoggedRead::kMostRows) {
        close();
        logged = &region;
        places = placesToLog(region);
        *places = bytes;
        rows = 0;
      }
      places[++rows] = static_cast<uint32_t>(address - region.base());
      continue;
    }
    close();
    meetDirectly(region, access.kind, context);
    settle(now, address, bytes, static_cast<uint32_t>(lane));
  }
  close();
}

// --- Logs of reads

GlobalRaces::GlobalRaces(const Epochs &epochs, const DeviceMemory &memory, size_t mostLogged)
    : epochs(epochs), regions(memory, [this](GlobalRegion &region) { applyLog(region); }),
      logMemory(mostLogged) {}

/// Logs the access, if that is enough, and pays.
bool GlobalRaces::logAccess(const LaneAccess &access, const Context &context) {
  constexpr uint32_t kFewRuns = 4, kFewGroups = 4;
  if (access.kind != AccessKind::Load || strengthOf(access) != Strength::Weak)
    return false;
  GlobalRegion &region = regions.of(context.line, access.addresses[std::countr_zero(access.lanes)]);
  if (!canLog(region, access.bytes, context.clocks))
    return false;
  if (region.reads.isEmpty() && std::popcount(access.runs) < static_cast<int>(kFewRuns))
    return false;
  bool areInside = true;
  eachRun(access.runs, access.lanes, access.bytes, [&](int lane, uint32_t bytes) {
    areInside &= region.contains(access.addresses[lane], bytes);
  });
  if (!areInside)
    return false;
  auto placeOf = [&](int lane) {
    uint64_t offset = access.addresses[lane] - region.base();
    return static_cast<uint32_t>(offset >> std::countr_zero(access.bytes));
  };
  if (access.groups && access.groups->count <= kFewGroups) {
    for (uint32_t group = 0; group < access.groups->count; ++group) {
      *placesToLog(region) = placeOf(access.groups->first[group]);
      logLoad(region, access.bytes, access.groups->lanes[group], 0, context);
    }
    return true;
  }
  uint32_t *places = placesToLog(region);
  for (LaneMask rest = access.runs; rest; rest &= rest - 1)
    *places++ = placeOf(std::countr_zero(rest));
  logLoad(region, access.bytes, access.lanes, access.runs, context);
  return true;
}

/// The rows of the lane whose size and places have been written.
void GlobalRaces::logRows(GlobalRegion &region, int lane, uint32_t rows, const Context &context) {
  CellRecord record = recordOf(context, Strength::Weak, Scope::None, kLineBytes);
  record.lane = static_cast<uint32_t>(lane);
  region.reads.add({record, context.clocks.start, context.clocks.ownKnown(context.warp), 0, rows});
}

/// Where there is a log already, what could go directly keeps its place among the others.
bool GlobalRaces::logInOrder(GlobalRegion &region, uint64_t address, uint32_t each, AccessKind kind,
                             const Context &context) {
  if (kind != AccessKind::Load || !canLog(region, each, context.clocks)) {
    applyLog(region);
    return false;
  }
  *placesToLog(region) = static_cast<uint32_t>((address - region.base()) >> std::countr_zero(each));
  logLoad(region, each, kAllLanes, 1, context);
  return true;
}

/// Somebody accesses the region, and not by way of its log.
void GlobalRaces::meetDirectly(GlobalRegion &region, AccessKind kind, const Context &context) {
  if (!region.reads.isEmpty())
    applyLog(region);
  if (kind != AccessKind::Load)
    noteWrite(region, context);
}

void GlobalRaces::meetDirectly(const LaneAccess &access, const Context &context) {
  const GlobalRegion *met = nullptr;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    uint64_t address = access.addresses[std::countr_zero(rest)];
    if (met && met->contains(address, access.bytes)) [[likely]]
      continue;
    GlobalRegion &region = regions.of(context.line, address);
    meetDirectly(region, access.kind, context);
    met = &region;
  }
}

/// Where logs have become too large, the shadow gets all of them.
void GlobalRaces::growLog(GlobalRegion &region) {
  if (logMemory.areUsedUp())
    regions.each([&](GlobalRegion &other) { applyLog(other); });
  region.reads.grow(logMemory);
}

void GlobalRaces::applyLog(GlobalRegion &region) {
  region.reads.each(
      [&](const LoggedRead &read, const uint32_t *places) { replay(region, read, places); });
  region.reads.clear(logMemory);
}

GlobalRaces::Access GlobalRaces::accessOf(const LoggedRead &read) const {
  Time time = read.record.time;
  return {nullptr,       read.start,
          read.ownKnown, Epochs::ownerOf(epochs.agentOf(time), epochs.warpOf(time)),
          true,          read.lanes ? read.record.widthLog : kOneLane,
          read.record};
}

void GlobalRaces::replay(const GlobalRegion &region, const LoggedRead &read,
                         const uint32_t *places) {
  Access now = accessOf(read);
  if (!read.lanes) {
    for (uint32_t row = 1; row <= read.rows(); ++row)
      settle(now, region.base() + places[row], places[0], read.record.lane);
    return;
  }
  uint32_t log = read.record.widthLog;
  uint64_t addresses[kWarpSize];
  LaneAccess access{AccessKind::Load, Order::Weak, Scope::None, false,
                    1u << log,        read.lanes,  addresses};
  auto addressOf = [&](uint32_t place) { return region.base() + (uint64_t{place} << log); };
  if (!read.runs) {
    auto first = static_cast<uint8_t>(std::countr_zero(read.lanes));
    AddressGroups together{1, {first}, {read.lanes}};
    addresses[first] = addressOf(*places);
    access.groups = &together;
    return accessNow(access, now);
  }
  access.runs = read.runs;
  uint32_t before = ~1u;
  for (LaneMask rest = read.runs; rest; rest &= rest - 1, before = *places++) {
    int lane = std::countr_zero(rest);
    addresses[lane] = addressOf(*places);
    // Whoever logs it need not have looked for lanes that follow each other.
    if (read.runs == kAllLanes && *places == before + 1)
      access.runs &= ~(LaneMask{1} << lane);
  }
  accessNow(access, now);
}

void GlobalRaces::forget(Time time) {
  regions.each([&](GlobalRegion &region) {
    if (region.reads.newest() <= time)
      region.reads.clear(logMemory);
  });
}

void GlobalRaces::clear() {
  forget(~Time{0});
  shadow.clear();
  regions.clear();
}

} // namespace vgpu
