#include "exec/Flights.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace vgpu {
namespace {

/// The marks of a unit.
typedef uint8_t UnitMarks __attribute__((vector_size(16), aligned(1), may_alias));

/// The marks that any of them has.
uint8_t foldMarks(const UnitMarks &marks) {
  uint64_t halves[2];
  std::memcpy(halves, &marks, sizeof halves);
  uint64_t all = halves[0] | halves[1];
  all |= all >> 32;
  all |= all >> 16;
  return static_cast<uint8_t>(all | all >> 8);
}

} // namespace

Flights::Flights(Block &block, bool tracksProxies)
    : block(block), tracksProxies(tracksProxies),
      inFlight{PageCounts(block.sharedEnd / kPageBytes + 1),
               PageCounts(block.sharedEnd / kPageBytes + 1)},
      usablePages(block.sharedEnd / kPageBytes + 1, false),
      writers(tracksProxies ? block.sharedEnd / kUnit + 1 : 0), loaders(writers.units.size()),
      fences(block.launch.warpsPerBlock() * kWarpSize) {}

void Flights::report(const Warp &warp, int lane, FindingKind kind, std::string message,
                     uint64_t address, std::string other, Severity severity) const {
  Finding finding;
  finding.kind = kind;
  finding.severity = severity;
  finding.message = std::move(message);
  finding.site = warp.site(lane);
  finding.address = address;
  finding.hasAddress = true;
  finding.other = std::move(other);
  block.machine.findings.add(std::move(finding));
}

inline uint8_t Flights::flagsOf(uint64_t address, uint32_t bytes) const {
  const uint8_t *marks = &block.sharedMarks[address], *end = marks + bytes;
  UnitMarks units{};
  for (; end - marks >= kUnit; marks += kUnit)
    units |= reinterpret_cast<const UnitMarks &>(*marks);
  uint8_t flags = foldMarks(units);
  for (; marks < end; ++marks)
    flags |= *marks;
  return flags;
}

void Flights::PageCounts::add(Ranges hulls, int change) {
  total += static_cast<uint32_t>(change);
  for (SharedRange hull : hulls)
    for (uint32_t page = hull.begin / kPageBytes; page * kPageBytes < hull.end; ++page)
      pages[page] = static_cast<uint16_t>(pages[page] + change);
}

/// Whether one of ascending ranges has something of the range.
static bool overlap(std::span<const SharedRange> ranges, SharedRange range) {
  auto found = std::partition_point(ranges.begin(), ranges.end(),
                                    [&](SharedRange other) { return other.end <= range.begin; });
  return found != ranges.end() && found->begin < range.end;
}

/// Whether an operation whose pages are counted accesses some of the range.
bool Flights::isCounted(Direction direction, SharedRange range) const {
  return countsOf(direction).mayBeIn(range.begin, range.end) &&
         std::any_of(flights.begin(), flights.end(), [&](const Flight &flight) {
           return flight.direction == direction && !flight.isDone && !flight.hulls.empty() &&
                  overlap(flight.ranges, range);
         });
}

std::string Flights::describe(SharedRange range) const {
  for (const Flight &flight : flights) {
    if (flight.isDone)
      continue;
    auto overlaps = [=](SharedRange own) { return range.begin < own.end && own.begin < range.end; };
    auto overlapsUnit = [=](uint32_t unit) { return overlaps({unit, unit + kUnit}); };
    if (std::any_of(flight.ranges.begin(), flight.ranges.end(), overlaps) ||
        (flight.units && std::any_of(flight.units->begin(), flight.units->end(), overlapsUnit)))
      return flight.instruction->source->text() + " at ptx line " +
             std::to_string(flight.instruction->source->line) + ", warp " +
             std::to_string(flight.warp) + ", lane " + std::to_string(flight.lane);
  }
  return "";
}

/// Most copies are of a few units, which need no call.
inline void Flights::setMarks(SharedRange range, uint8_t mark) {
  constexpr uint32_t kFewBytes = 8 * kUnit;
  uint8_t *marks = &block.sharedMarks[range.begin], *end = marks + (range.end - range.begin);
  if (range.end - range.begin > kFewBytes || (range.end - range.begin) % kUnit)
    std::memset(marks, mark, range.end - range.begin);
  else
    for (; marks < end; marks += kUnit)
      reinterpret_cast<UnitMarks &>(*marks) = UnitMarks{} + mark;
}

inline void Flights::setMarks(const Units &units, uint8_t mark) {
  uint8_t *marks = block.sharedMarks.data();
  for (uint32_t unit : units)
    reinterpret_cast<UnitMarks &>(marks[unit]) = UnitMarks{} + mark;
}

inline void Flights::forgetUsable(SharedRange range) {
  for (uint32_t page = range.begin / kPageBytes; page * kPageBytes < range.end; ++page)
    usablePages[page] = false;
}

inline Flights::Busy Flights::whyBusy(Direction direction, SharedRange range) const {
  uint8_t flags = flagsOf(range.begin, range.end - range.begin);
  if (flags & kForbidden) [[unlikely]]
    return flags & kBarrier ? Busy::Barrier : Busy::Written;
  if (isCounted(Direction::Writes, range))
    return Busy::Written;
  return direction == Direction::Writes && isCounted(Direction::Reads, range) ? Busy::Read
                                                                              : Busy::No;
}

void Flights::reportBusy(const Warp &warp, int lane, Direction direction, SharedRange range,
                         Busy busy) const {
  constexpr std::string_view what[] = {"", "that hold a live mbarrier",
                                       "that an asynchronous operation still writes",
                                       "that an asynchronous operation still reads"};
  bool writes = direction == Direction::Writes;
  uint32_t at = range.begin; // the first such byte
  while (at + 1 < range.end && whyBusy(direction, {at, at + 1}) == Busy::No)
    ++at;
  report(warp, lane, FindingKind::Asynchronous,
         std::string(writes ? "starts to write" : "starts to read") + " bytes " +
             std::string(what[static_cast<int>(busy)]),
         at, describe({at, at + 1}));
}

inline Flights::Flight &Flights::add(const Warp &warp, int lane, Direction direction) {
  Flight &flight = flights.emplace_back();
  flight.direction = direction;
  flight.instruction = warp.current();
  flight.warp = warp.index;
  flight.lane = lane;
  return flight;
}

uint64_t Flights::beginWrites(const Warp &warp, int lane, Ranges ranges) {
  for (SharedRange range : ranges) {
    checkFree(warp, lane, Direction::Writes, range);
    setMarks(range, kArriving | kWritten); // one by one: an operation may write bytes twice
    forgetUsable(range);
  }
  add(warp, lane, Direction::Writes).ranges = ranges;
  return lastFlight();
}

/// Whether all of it is written, and nothing forbidden, as far as marks say.
bool Flights::isPageUsable(uint32_t page) {
  if (usablePages[page])
    return true;
  uint32_t begin = page * kPageBytes, end = std::min(begin + kPageBytes, block.sharedEnd);
  const uint8_t *marks = &block.sharedMarks[begin];
  return usablePages[page] = *marks == kWritten && !std::memcmp(marks, marks + 1, end - begin - 1);
}

/// The same; false also if it is so for the hull, but not around it.
bool Flights::isUsable(SharedRange hull) {
  for (uint32_t page = hull.begin / kPageBytes; page * kPageBytes < hull.end; ++page)
    if (!isPageUsable(page))
      return false;
  return true;
}

void Flights::checkFree(const Warp &warp, int lane, Direction direction, SharedRange range) const {
  if (Busy busy = whyBusy(direction, range); busy != Busy::No) [[unlikely]]
    reportBusy(warp, lane, direction, range, busy);
  if (direction == Direction::Reads && !(block.sharedMarks[range.begin] & kWritten)) [[unlikely]]
    report(warp, lane, FindingKind::Uninitialized,
           "an asynchronous operation reads shared memory that nobody has written", range.begin);
}

uint64_t Flights::beginReads(const Warp &warp, int lane, Ranges ranges, Ranges hulls) {
  auto isFree = [&](SharedRange hull) {
    return isUsable(hull) && !countsOf(Direction::Writes).mayBeIn(hull.begin, hull.end);
  };
  if (!std::all_of(hulls.begin(), hulls.end(), isFree))
    for (SharedRange range : ranges)
      checkFree(warp, lane, Direction::Reads, range);
  countsOf(Direction::Reads).add(hulls, 1);
  Flight &flight = add(warp, lane, Direction::Reads);
  flight.ranges = ranges;
  flight.hulls = hulls;
  return lastFlight();
}

uint64_t Flights::begin(const Warp &warp, int lane, Direction direction, SharedRange range) {
  checkFree(warp, lane, direction, range);
  if (direction == Direction::Writes && !isUsable(range))
    setMarks(range, kWritten);
  Flight &flight = add(warp, lane, direction);
  flight.own = range;
  flight.ranges = flight.hulls = {&flight.own, 1};
  countsOf(direction).add(flight.hulls, 1);
  return lastFlight();
}

uint64_t Flights::beginUnits(const Warp &warp, const Units &units) {
  const uint8_t *marks = block.sharedMarks.data();
  UnitMarks all{};
  uint32_t end = 0;
  bool ascend = true; // or a unit may be there twice
  for (uint32_t unit : units) {
    all |= reinterpret_cast<const UnitMarks &>(marks[unit]);
    ascend &= unit >= end;
    end = unit + kUnit;
  }
  if (!ascend || foldMarks(all) & kForbidden || mayMeet(AccessKind::Store, units.front(), end))
      [[unlikely]]
    return 0;
  setMarks(units, kArriving | kWritten);
  forgetUsable({units.front(), end});
  add(warp, 0, Direction::Writes).units = &units;
  return lastFlight();
}

void Flights::endPart(uint64_t flight, SharedRange range) {
  Flight &parted = at(flight);
  parted.ranges = {}; // what has ended may be another's by the time all has
  parted.units = nullptr;
  setMarks(range, kWritten);
}

void Flights::end(uint64_t flight) {
  Flight &done = at(flight);
  if (!done.hulls.empty())
    countsOf(done.direction).add(done.hulls, -1);
  else
    for (SharedRange range : done.ranges)
      setMarks(range, kWritten);
  if (done.units)
    setMarks(*done.units, kWritten);
  done.isDone = true;
  for (; !flights.empty() && flights.front().isDone; ++firstFlight)
    flights.pop_front();
}

void Flights::check(const Warp &warp, AccessKind kind, LaneMask lanes, const uint64_t *addresses,
                    uint32_t bytes) const {
  constexpr std::string_view what[] = {"", "the bytes of a live mbarrier",
                                       "bytes that an asynchronous copy still writes",
                                       "bytes that an asynchronous operation still reads"};
  bool isLoad = kind == AccessKind::Load;
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    auto first = static_cast<uint32_t>(addresses[lane]);
    SharedRange range{first, first + bytes};
    Busy busy = whyBusy(isLoad ? Direction::Reads : Direction::Writes, range);
    if (busy == Busy::No) [[likely]]
      continue;
    report(warp, lane, FindingKind::Asynchronous,
           std::string(isLoad ? "reads " : "writes ") + std::string(what[static_cast<int>(busy)]),
           first, describe(range));
  }
}

void Flights::remember(const Warp &warp, AccessKind kind, LaneMask lanes, const uint64_t *addresses,
                       uint32_t bytes, const AddressGroups *groups) {
  if (!tracksProxies)
    return;
  Accessors &accessors = kind == AccessKind::Load ? loaders : writers;
  eachAddress(groups, lanes, [&](int lane, LaneMask together) {
    uint64_t begin = addresses[lane];
    auto last = static_cast<uint32_t>(kWarpSize - 1 - std::countl_zero(together));
    for (uint64_t unit = begin / kUnit; unit * kUnit < begin + bytes; ++unit) {
      accessors.units[unit] = {time, warp.index * kWarpSize + last};
      accessors.pages[unit / kPageUnits] = true;
    }
  });
}

void Flights::fence(const Warp &warp, LaneMask lanes) {
  ++time;
  for (LaneMask rest = lanes; rest; rest &= rest - 1)
    fences[warp.index * kWarpSize + static_cast<uint32_t>(std::countr_zero(rest))] = time;
}

/// Reports the first of them without a fence. What was looked at is settled.
void Flights::checkEarlier(Accessors &accessors, const Warp &warp, int lane, SharedRange range,
                           std::string_view verb, Severity severity, std::string_view access) {
  if (!accessors.mayHaveAny(range))
    return;
  uint32_t issuer = warp.index * kWarpSize + static_cast<uint32_t>(lane);
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit) {
    Accessor accessor = std::exchange(accessors.units[unit], Accessor());
    if (accessor.time == 0 || isFenced(accessor, issuer))
      continue;
    return report(warp, lane, FindingKind::Proxy,
                  std::string(verb) + " through the asynchronous proxy what an ordinary " +
                      std::string(access) + ", without fence.proxy.async between them",
                  unit * kUnit,
                  "the " + std::string(access.substr(0, access.find(' '))) + " of warp " +
                      std::to_string(accessor.thread / kWarpSize) + ", lane " +
                      std::to_string(accessor.thread % kWarpSize),
                  severity);
  }
  accessors.forgetPages(range);
}

/// Of pages that the range contains, nothing is left.
void Flights::Accessors::forgetPages(SharedRange range) {
  for (uint32_t page = (range.begin + kPageBytes - 1) / kPageBytes;
       (page + 1) * kPageBytes <= range.end; ++page)
    pages[page] = false;
}

/// That a copy overwrites what was loaded is common where an mbarrier orders the two,
/// and hardware waits: it is an error only where all that PTX asks for is asked for.
void Flights::checkProxy(const Warp &warp, int lane, Ranges ranges, Ranges hulls,
                         Direction direction, std::string_view verb) {
  if (!tracksProxies)
    return;
  bool writes = direction == Direction::Writes;
  if (std::none_of(hulls.begin(), hulls.end(), [&](SharedRange hull) {
        return writers.mayHaveAny(hull) || (writes && loaders.mayHaveAny(hull));
      }))
    return;
  for (SharedRange range : ranges) {
    checkEarlier(writers, warp, lane, range, verb, Severity::Error, "store wrote");
    if (writes)
      checkEarlier(loaders, warp, lane, range, verb,
                   block.machine.hasStrictProxies ? Severity::Error : Severity::Note, "load read");
  }
}

void Flights::markBarrier(uint32_t address) {
  forgetUsable({address, address + 8});
  std::memset(&block.sharedMarks[address], kBarrier | kWritten, 8);
}

void Flights::unmarkBarrier(uint32_t address) {
  forgetUsable({address, address + 8});
  std::memset(&block.sharedMarks[address], 0, 8);
}

} // namespace vgpu
