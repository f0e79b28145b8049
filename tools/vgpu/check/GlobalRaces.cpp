#include "check/GlobalRaces.h"

#include "exec/Block.h"

#include <bit>

namespace vgpu {

void GlobalRaces::clear() {
  pages.clear();
  std::fill(std::begin(known), std::end(known), Known());
}

GlobalRaces::Line &GlobalRaces::lineOf(uint64_t address) {
  uint64_t number = address / kPageBytes;
  Known &entry = known[number % std::size(known)];
  if (entry.number != number) [[unlikely]] {
    std::unique_ptr<Page> &page = pages[number];
    if (!page)
      page = std::make_unique<Page>();
    entry = {number, page.get()};
  }
  return entry.page->lines[address % kPageBytes / kLineBytes];
}

std::unique_ptr<GlobalRaces::Cells, GlobalRaces::CellsDelete>
GlobalRaces::newCells(uint32_t granuleLog) {
  size_t count = kLineBytes >> granuleLog;
  void *memory = ::operator new(sizeof(Cells) + count * sizeof(Cell));
  std::unique_ptr<Cells, CellsDelete> cells(new (memory) Cells{0, granuleLog});
  std::uninitialized_default_construct_n(cells->cells, count);
  return cells;
}

/// Cells that are no larger than `bytes`, with what was known before.
GlobalRaces::Cells &GlobalRaces::cellsOf(Line &line, uint32_t bytes) {
  uint32_t log = std::min(static_cast<uint32_t>(std::countr_zero(bytes)), 2u);
  if (line.cells && line.cells->granuleLog <= log) [[likely]]
    return *line.cells;
  auto finer = newCells(log);
  for (uint32_t index = 0; index < kLineBytes >> log; ++index) {
    uint32_t byte = index << log;
    Cell &cell = finer->cells[index];
    if (line.cells) {
      cell = line.cells->cells[byte >> line.cells->granuleLog];
      continue;
    }
    cell = line.whole;
    for (Record *record : {&cell.write, &cell.reads[0], &cell.reads[1]})
      if (record->time)
        record->lane += static_cast<uint8_t>(byte >> record->widthLog);
  }
  finer->newest =
      line.cells
          ? line.cells->newest
          : std::max({line.whole.write.time, line.whole.reads[0].time, line.whole.reads[1].time});
  line.cells = std::move(finer);
  return *line.cells;
}

LaneMask GlobalRaces::lanesOf(const Record &record, bool isWhole) {
  if (!isWhole)
    return record.hasMoreLanes ? kAllLanes : LaneMask{1} << record.lane;
  uint32_t count = kLineBytes >> record.widthLog;
  return count >= kWarpSize ? kAllLanes : ((LaneMask{1} << count) - 1) << record.lane;
}

/// Whether what `record` says comes before the access, or may be at the same
/// time. `lanes` are those of the access.
bool GlobalRaces::follows(const Record &record, const Access &access, LaneMask lanes,
                          bool isWhole) const {
  const BlockClocks &clocks = access.context.clocks;
  if (record.time <= clocks.start)
    return true;
  auto strength = static_cast<Strength>(record.strength);
  auto own = static_cast<Strength>(access.record.strength);
  if (record.agent != clocks.agent) {
    bool bothReach =
        std::min(record.scope, access.record.scope) >= static_cast<uint8_t>(Scope::Device);
    return (!mayConflict(own, strength, false) && bothReach) ||
           access.context.conflicts.isOrdered(record.agent) ||
           clocks.of(access.warp, std::countr_zero(lanes))
               .knows(record.agent, record.warp, lanesOf(record, isWhole), record.time);
  }
  if (record.time <= clocks.floor(access.warp) ||
      !(own == Strength::Weak || strength == Strength::Weak))
    return true;
  bool isSameWarp = record.warp == access.warp;
  if (isSameWarp && record.time <= clocks.ownKnown(access.warp))
    return true;
  if (isSameWarp && !record.hasMoreLanes && record.lane == access.record.lane &&
      (!isWhole || record.widthLog == access.record.widthLog))
    return true;
  for (; lanes; lanes &= lanes - 1)
    if (!clocks.of(access.warp, std::countr_zero(lanes))
             .knows(record.agent, record.warp, lanesOf(record, isWhole), record.time))
      return false;
  return true;
}

void GlobalRaces::recordRead(Cell &cell, const Record &record, const BlockClocks &clocks) {
  Record &last = cell.reads[0];
  bool isSame = last.agent == record.agent && last.warp == record.warp;
  if (last.time > clocks.start && !isSame && record.time != 0)
    cell.reads[1] = last;
  bool hasMore =
      isSame && last.time > clocks.ownKnown(record.warp) &&
      (last.hasMoreLanes || last.lane != record.lane || last.widthLog != record.widthLog);
  last = record;
  last.hasMoreLanes |= hasMore;
}

/// Reports what the access does not follow. False if it follows everything.
bool GlobalRaces::reportUnordered(const Cell &cell, const Access &access, int lane,
                                  uint64_t address) const {
  LaneMask own = LaneMask{1} << lane;
  auto tell = [&](const Record &record, bool writes) {
    LaneMask lanes = lanesOf(record, false);
    if (record.warp == access.warp && record.agent == access.context.clocks.agent)
      lanes &= ~own;
    access.context.conflicts.report({lane, address, writes, static_cast<Strength>(record.strength),
                                     record.agent, record.warp, lanes, record.line});
    return true;
  };
  if (!follows(cell.write, access, own, false))
    return tell(cell.write, true);
  if (access.kind != AccessKind::Load)
    for (const Record &read : cell.reads)
      if (!follows(read, access, own, false))
        return tell(read, false);
  return false;
}

/// A line that the lanes access in order. False if it needs cells.
bool GlobalRaces::wholeLine(Line &line, const Access &access) {
  const BlockClocks &clocks = access.context.clocks;
  if (line.cells) {
    if (line.cells->newest > clocks.start)
      return false;
    line.cells.reset();
    line.whole = Cell();
  }
  LaneMask lanes = lanesOf(access.record, true);
  if (!follows(line.whole.write, access, lanes, true))
    return false;
  if (access.kind == AccessKind::Load) {
    recordRead(line.whole, access.record, clocks);
    return true;
  }
  if (!follows(line.whole.reads[0], access, lanes, true) ||
      !follows(line.whole.reads[1], access, lanes, true))
    return false;
  line.whole = {access.record, {}};
  return true;
}

void GlobalRaces::lanePart(const Access &access, int lane, uint64_t address, uint32_t bytes) {
  bool isReported = false;
  for (uint64_t end = address + bytes; address < end;) {
    Line &line = lineOf(address);
    Cells &cells = cellsOf(line, std::min(bytes, 4u));
    uint64_t stop = std::min(end, (address / kLineBytes + 1) * kLineBytes);
    cells.newest = std::max(cells.newest, access.record.time);
    for (; address < stop; address += uint64_t{1} << cells.granuleLog) {
      Cell &cell = cells.cells[address % kLineBytes >> cells.granuleLog];
      isReported = isReported || reportUnordered(cell, access, lane, address);
      if (access.kind == AccessKind::Load)
        recordRead(cell, access.record, access.context.clocks);
      else
        cell = {access.record, {}};
    }
  }
}

GlobalRaces::Access GlobalRaces::begin(const MemoryAccess &access, const Context &context) {
  Access now{context, access.warp.index, access.kind, Record()};
  now.record.time = context.clocks.epoch(access.warp.index);
  now.record.agent = context.clocks.agent;
  now.record.line = context.line;
  now.record.warp = static_cast<uint8_t>(access.warp.index);
  now.record.strength = static_cast<uint8_t>(strengthOf(access));
  now.record.scope = static_cast<uint8_t>(access.scope);
  return now;
}

void GlobalRaces::access(const MemoryAccess &access, const Context &context) {
  Access now = begin(access, context);
  Record &record = now.record;
  record.widthLog = static_cast<uint8_t>(std::countr_zero(access.bytes));
  LaneMask rest = access.lanes;
  if (access.isContiguous && access.bytes >= 4) {
    uint32_t lanes = kLineBytes / access.bytes; // of a line
    for (uint32_t lane = 0; lane < kWarpSize;) {
      uint64_t address = access.addresses[lane];
      auto inLine = static_cast<uint32_t>(address % kLineBytes);
      uint32_t count = std::min((kLineBytes - inLine) / access.bytes, kWarpSize - lane);
      record.lane = static_cast<uint8_t>(lane);
      if (count == lanes && wholeLine(lineOf(address), now))
        rest &= ~(((LaneMask{2} << (count - 1)) - 1) << lane);
      lane += count;
    }
  }
  for (; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    record.lane = static_cast<uint8_t>(lane);
    lanePart(now, lane, access.addresses[lane], access.bytes);
  }
}

void GlobalRaces::accessRange(const MemoryAccess &access, int lane, const Context &context) {
  Access now = begin(access, context);
  now.record.lane = static_cast<uint8_t>(lane);
  lanePart(now, lane, access.addresses[lane], access.bytes);
}

} // namespace vgpu
