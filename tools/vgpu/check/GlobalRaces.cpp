#include "check/GlobalRaces.h"

#include "exec/Block.h"

#include <bit>

namespace vgpu {

void GlobalRaces::clear() {
  pages.clear();
  std::fill(std::begin(known), std::end(known), Known());
}

inline GlobalRaces::Line &GlobalRaces::lineOf(uint64_t address) {
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

/// Gives the line cells of 2 to the `log` bytes, or smaller ones where it has
/// them, with what was known before; what is older than `start` is forgotten.
void GlobalRaces::split(Line &line, uint32_t log, Time start) {
  bool isOld = line.newest <= start;
  if (!isOld && log >= line.cellLog)
    return;
  uint32_t count = log == kLineLog ? 0 : kLineBytes >> log;
  std::unique_ptr<Cell[]> cells(count ? new Cell[count]() : nullptr);
  for (uint32_t index = 0; index < count && !isOld; ++index) {
    uint32_t offset = index << log, inCell = offset & ((1u << line.cellLog) - 1);
    Cell &cell = cells[index] = line.cells ? line.cells[offset >> line.cellLog] : line.whole;
    for (Record *record : {&cell.write, &cell.reads[0], &cell.reads[1]})
      record->lane += inCell >> record->widthLog;
  }
  line.whole = Cell();
  line.cells = std::move(cells);
  line.cellLog = static_cast<uint8_t>(log);
}

/// The lanes that accessed a cell of 2 to the `log` bytes.
LaneMask GlobalRaces::lanesOf(const Record &record, uint32_t log) {
  if (record.hasMoreLanes)
    return kAllLanes;
  uint32_t count = record.widthLog < log ? 1u << (log - record.widthLog) : 1;
  return ((LaneMask{2} << (count - 1)) - 1) << record.lane;
}

/// Whether what `earlier` says comes before the access for all lanes of
/// `record`. What may be at the same time does not.
inline bool GlobalRaces::follows(const Record &earlier, uint32_t log, const Access &access,
                                 Record record) const {
  return earlier.time <= access.start || followsUnsettled(earlier, log, access, record);
}

bool GlobalRaces::followsUnsettled(const Record &earlier, uint32_t log, const Access &access,
                                   Record record) const {
  const BlockClocks &clocks = access.context.clocks;
  Agent agent = epochs.agentOf(earlier.time);
  uint32_t warp = epochs.warpOf(earlier.time), own = access.owner % Epochs::kMostWarps;
  auto strength = static_cast<Strength>(earlier.strength);
  auto ownStrength = static_cast<Strength>(record.strength);
  if (agent != clocks.agent) {
    bool bothReach = std::min(earlier.scope, record.scope) >= static_cast<uint32_t>(Scope::Device);
    if ((!mayConflict(ownStrength, strength, false) && bothReach) ||
        access.context.conflicts.isOrdered(agent))
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

/// False, with nothing done, if the record would say less than smaller cells can.
inline bool GlobalRaces::recordRead(Cell &cell, uint32_t log, const Access &access,
                                    Record record) const {
  Record &last = cell.reads[0];
  if (last.time > access.start) {
    if (!epochs.isOf(access.owner, last.time)) {
      cell.reads[1] = last;
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
inline bool GlobalRaces::touch(Cell &cell, uint32_t log, const Access &access,
                               Record record) const {
  auto bits = [](const Record &record) { return std::bit_cast<uint64_t>(record); };
  if (access.isLoad)
    return bits(cell.reads[0]) == bits(record) ||
           (follows(cell.write, log, access, record) && recordRead(cell, log, access, record));
  bool isAgain = bits(cell.write) == bits(record);
  if ((!isAgain && !follows(cell.write, log, access, record)) ||
      !follows(cell.reads[0], log, access, record) || !follows(cell.reads[1], log, access, record))
    return false;
  cell = {record, {}};
  return true;
}

/// The size of the cells that keep the lanes apart which share this one, as a
/// power of two.
uint32_t GlobalRaces::apart(const Cell &cell, uint32_t log, Record record) {
  for (const Record &known : {cell.write, cell.reads[0], cell.reads[1], record})
    if (known.time)
      log = std::min<uint32_t>(log, known.widthLog);
  return log;
}

void GlobalRaces::report(const Cell &cell, uint32_t log, const Access &access, Record record,
                         uint64_t address) const {
  auto tell = [&](const Record &earlier, bool writes) {
    Agent agent = epochs.agentOf(earlier.time);
    LaneMask lanes = lanesOf(earlier, log);
    if (epochs.isOf(access.owner, earlier.time))
      lanes &= ~(LaneMask{1} << record.lane);
    access.context.conflicts.report({static_cast<int>(record.lane), address, writes,
                                     static_cast<Strength>(earlier.strength), agent,
                                     epochs.warpOf(earlier.time), lanes, earlier.line});
  };
  if (!follows(cell.write, log, access, record))
    return tell(cell.write, true);
  for (const Record &read : cell.reads)
    if (!access.isLoad && !follows(read, log, access, record))
      return tell(read, false);
}

/// Bytes of one line, which the lanes from `lane` on access.
void GlobalRaces::inLine(Line &line, const Access &access, uint64_t address, uint32_t bytes,
                         uint32_t lane) {
  auto first = static_cast<uint32_t>(address % kLineBytes);
  uint32_t log = bytes == kLineBytes
                     ? kLineLog
                     : std::min<uint32_t>(std::countr_zero(first | bytes), kLargestPart);
  if (line.cellLog != log)
    split(line, log, access.start);
  line.newest = std::max(line.newest, access.record.time);
  Record record = access.record;
  for (uint32_t offset = first; offset < first + bytes;) {
    log = line.cellLog;
    Cell &cell = line.cells ? line.cells[offset >> log] : line.whole;
    record.lane = lane + ((offset - first) >> access.record.widthLog);
    record.widthLog = std::min<uint32_t>(access.record.widthLog, log);
    if (!touch(cell, log, access, record)) [[unlikely]] {
      if (uint32_t finer = apart(cell, log, record); finer < log) {
        split(line, finer, access.start);
        continue;
      }
      report(cell, log, access, record, address + (offset - first));
      if (access.isLoad)
        recordRead(cell, log, access, record);
      else
        cell = {record, {}};
    }
    offset += 1u << log;
  }
}

/// Lanes that load from one address, which one of them has just done. False, and
/// to be done again lane by lane, if something cannot be said of all of them.
bool GlobalRaces::loadTogether(Line &line, const Access &access, uint64_t address, uint32_t bytes,
                               LaneMask others) const {
  Record record = access.record;
  record.lane = static_cast<uint32_t>(std::countr_zero(others));
  record.hasMoreLanes = true;
  auto first = static_cast<uint32_t>(address % kLineBytes);
  uint32_t log = line.cellLog;
  if (log > record.widthLog || !line.cells)
    return false;
  record.widthLog = log;
  for (uint32_t offset = first; offset < first + bytes; offset += 1u << log)
    if (!touch(line.cells[offset >> log], log, access, record))
      return false;
  return true;
}

/// The usual access to a line with one cell. False, with nothing done, if more
/// must be looked at.
inline bool GlobalRaces::touchWhole(Line &line, const Access &access, uint32_t lane) const {
  Record record = access.record;
  record.lane = lane;
  if (!touch(line.whole, kLineLog, access, record))
    return false;
  line.newest = std::max(line.newest, record.time);
  return true;
}

inline void GlobalRaces::part(const Access &access, uint64_t address, uint32_t bytes,
                              uint32_t lane) {
  while (bytes) {
    uint32_t now = std::min(bytes, kLineBytes - static_cast<uint32_t>(address % kLineBytes));
    Line &line = lineOf(address);
    if (now != kLineBytes || line.cellLog != kLineLog || !touchWhole(line, access, lane))
      inLine(line, access, address, now, lane);
    address += now;
    bytes -= now;
    lane += now >> access.record.widthLog;
  }
}

GlobalRaces::Access GlobalRaces::begin(const MemoryAccess &access, const Context &context) const {
  uint32_t warp = access.warp.index;
  Record record;
  record.time = context.clocks.epoch(warp);
  record.line = std::min(context.line, kMostLine);
  record.widthLog = static_cast<uint32_t>(std::countr_zero(access.bytes));
  record.strength = static_cast<uint32_t>(strengthOf(access));
  record.scope = static_cast<uint32_t>(access.scope);
  return {context,
          context.clocks.start,
          context.clocks.ownKnown(warp),
          Epochs::ownerOf(context.clocks.agent, warp),
          access.kind == AccessKind::Load,
          record};
}

void GlobalRaces::accessGroups(const MemoryAccess &access, const Access &now) {
  eachAddress(access.groups, access.lanes, [&](int lane, LaneMask lanes) {
    uint64_t address = access.addresses[lane];
    Line &line = lineOf(address);
    inLine(line, now, address, access.bytes, static_cast<uint32_t>(lane));
    LaneMask others = lanes & (lanes - 1);
    if (others && loadTogether(line, now, address, access.bytes, others))
      return;
    for (; others; others &= others - 1)
      inLine(line, now, address, access.bytes, static_cast<uint32_t>(std::countr_zero(others)));
  });
}

void GlobalRaces::access(const MemoryAccess &access, const Context &context) {
  Access now = begin(access, context);
  if (access.isContiguous)
    return part(now, access.addresses[0], kWarpSize * access.bytes, 0);
  if (access.groups && now.isLoad)
    return accessGroups(access, now);
  // What is far apart is not in the processor's caches: it is sought together.
  Line *lines[kWarpSize];
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    lines[lane] = &lineOf(access.addresses[lane]);
    __builtin_prefetch(lines[lane]);
  }
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    const Line &line = *lines[lane];
    if (line.cells)
      __builtin_prefetch(&line.cells[access.addresses[lane] % kLineBytes >> line.cellLog]);
  }
  for (LaneMask rest = access.lanes; rest;) {
    int lane = std::countr_zero(rest);
    uint64_t address = access.addresses[lane];
    uint64_t end = address;
    int next = lane;
    do {
      end += access.bytes;
      rest &= rest - 1;
      ++next;
    } while (next < kWarpSize && rest >> next & 1 && access.addresses[next] == end);
    if (address / kLineBytes == (end - 1) / kLineBytes)
      inLine(*lines[lane], now, address, static_cast<uint32_t>(end - address),
             static_cast<uint32_t>(lane));
    else
      part(now, address, static_cast<uint32_t>(end - address), static_cast<uint32_t>(lane));
  }
}

void GlobalRaces::accessRange(const MemoryAccess &access, int lane, const Context &context) {
  Access now = begin(access, context);
  now.record.widthLog = kLineLog;
  part(now, access.addresses[lane], access.bytes, static_cast<uint32_t>(lane));
}

} // namespace vgpu
