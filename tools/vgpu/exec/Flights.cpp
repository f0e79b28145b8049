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
    : block(block), tracksProxies(tracksProxies), readers(block.sharedEnd / kUnit + 1, 0),
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

std::string Flights::describe(uint64_t address) const {
  for (const Flight &flight : flights) {
    if (flight.isDone)
      continue;
    auto holds = [=](SharedRange range) { return address >= range.begin && address < range.end; };
    auto holdsUnit = [=](uint32_t unit) { return holds({unit, unit + kUnit}); };
    if (std::any_of(flight.ranges.begin(), flight.ranges.end(), holds) ||
        (flight.units && std::any_of(flight.units->begin(), flight.units->end(), holdsUnit)))
      return flight.instruction->source->text() + " at ptx line " +
             std::to_string(flight.instruction->source->line) + ", warp " +
             std::to_string(flight.warp) + ", lane " + std::to_string(flight.lane);
  }
  return "";
}

/// What the bytes were marked as.
inline uint8_t Flights::markRead(SharedRange range) {
  UnitMarks all{};
  uint8_t *known = block.sharedMarks.data();
  uint16_t *counts = readers.data();
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit) {
    ++counts[unit];
    auto &marks = reinterpret_cast<UnitMarks &>(known[unit * kUnit]);
    all |= marks;
    marks |= uint8_t{kLeaving};
  }
  return foldMarks(all);
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

inline void Flights::unmark(Direction direction, SharedRange range) {
  if (direction == Direction::Writes)
    return setMarks(range, kWritten);
  uint8_t *known = block.sharedMarks.data();
  uint16_t *counts = readers.data();
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit)
    if (--counts[unit] == 0)
      reinterpret_cast<UnitMarks &>(known[unit * kUnit]) &= uint8_t{kWritten};
}

void Flights::reportBusy(const Warp &warp, int lane, Direction direction, SharedRange range,
                         uint8_t bad) const {
  uint32_t at = range.begin;
  while (!(block.sharedMarks[at] & bad))
    ++at;
  uint8_t flags = flagsOf(range.begin, range.end - range.begin);
  std::string_view what = flags & kBarrier    ? "that hold a live mbarrier"
                          : flags & kArriving ? "that an asynchronous operation still writes"
                                              : "that an asynchronous operation still reads";
  bool writes = direction == Direction::Writes;
  report(warp, lane, FindingKind::Asynchronous,
         std::string(writes ? "starts to write" : "starts to read") + " bytes " + std::string(what),
         at, describe(at));
}

inline Flights::Flight &Flights::add(const Warp &warp, int lane, Direction direction) {
  Flight &flight = flights.emplace_back();
  flight.direction = direction;
  flight.instruction = warp.current();
  flight.warp = warp.index;
  flight.lane = lane;
  return flight;
}

uint64_t Flights::begin(const Warp &warp, int lane, Direction direction, Ranges ranges) {
  bool writes = direction == Direction::Writes;
  uint8_t bad = forbidden(writes ? AccessKind::Store : AccessKind::Load);
  const uint8_t *known = block.sharedMarks.data();
  for (SharedRange range : ranges) {
    bool isKnown = writes || known[range.begin] & kWritten;
    uint8_t flags = writes ? flagsOf(range.begin, range.end - range.begin) : markRead(range);
    if (flags & bad) [[unlikely]]
      reportBusy(warp, lane, direction, range, bad);
    if (!isKnown) [[unlikely]]
      report(warp, lane, FindingKind::Uninitialized,
             "an asynchronous operation reads shared memory that nobody has written", range.begin);
    if (writes) // one by one: an operation may write bytes twice
      setMarks(range, kArriving | kWritten);
  }
  add(warp, lane, direction).ranges = ranges;
  return firstFlight + flights.size() - 1;
}

uint64_t Flights::begin(const Warp &warp, int lane, Direction direction, SharedRange range) {
  uint64_t number = begin(warp, lane, direction, {&range, 1});
  Flight &flight = flights.back();
  flight.own = range;
  flight.ranges = {&flight.own, 1};
  return number;
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
  if (!ascend || foldMarks(all) & forbidden(AccessKind::Store)) [[unlikely]]
    return 0;
  setMarks(units, kArriving | kWritten);
  add(warp, 0, Direction::Writes).units = &units;
  return firstFlight + flights.size() - 1;
}

void Flights::end(uint64_t flight, SharedRange range) { unmark(at(flight).direction, range); }

void Flights::end(uint64_t flight) {
  Flight &done = at(flight);
  for (SharedRange range : done.ranges)
    unmark(done.direction, range);
  if (done.units)
    setMarks(*done.units, kWritten);
  done.isDone = true;
  for (; !flights.empty() && flights.front().isDone; ++firstFlight)
    flights.pop_front();
}

void Flights::check(const Warp &warp, AccessKind kind, LaneMask lanes, const uint64_t *addresses,
                    uint32_t bytes) const {
  bool isLoad = kind == AccessKind::Load;
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    uint8_t flags = flagsOf(addresses[lane], bytes);
    if (!(flags & forbidden(kind))) [[likely]]
      continue;
    std::string_view what = flags & kBarrier ? "the bytes of a live mbarrier"
                            : flags & kArriving
                                ? "bytes that an asynchronous copy still writes"
                                : "bytes that an asynchronous operation still reads";
    report(warp, lane, FindingKind::Asynchronous,
           std::string(isLoad ? "reads " : "writes ") + std::string(what), addresses[lane],
           describe(addresses[lane]));
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

bool Flights::Accessors::mayHaveAny(SharedRange range) const {
  constexpr uint32_t kPageBytes = kUnit * kPageUnits;
  for (uint32_t page = range.begin / kPageBytes; page * kPageBytes < range.end; ++page)
    if (pages[page])
      return true;
  return false;
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
  constexpr uint32_t kPageBytes = kUnit * kPageUnits;
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
  std::memset(&block.sharedMarks[address], kBarrier | kWritten, 8);
}

void Flights::unmarkBarrier(uint32_t address) { std::memset(&block.sharedMarks[address], 0, 8); }

} // namespace vgpu
