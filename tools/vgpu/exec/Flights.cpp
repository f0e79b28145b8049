#include "exec/Flights.h"

#include "exec/Block.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace vgpu {

Flights::Flights(Block &block, bool tracksProxies)
    : block(block), tracksProxies(tracksProxies), marks(block.sharedEnd),
      readers(block.sharedEnd / kUnit + 1),
      writers(tracksProxies ? block.sharedEnd / kUnit + 1 : 0), loaders(writers.size()),
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

/// Words at a time, whose bytes are folded at the end.
uint8_t Flights::flagsOf(uint64_t address, uint32_t bytes) const {
  uint64_t all = 0, word;
  uint32_t byte = 0;
  for (; byte + 8 <= bytes; byte += 8) {
    std::memcpy(&word, &marks[address + byte], 8);
    all |= word;
  }
  for (; byte < bytes; ++byte)
    all |= marks[address + byte];
  all |= all >> 32;
  all |= all >> 16;
  return static_cast<uint8_t>(all | all >> 8);
}

std::string Flights::describe(uint64_t address) const {
  for (const Flight &flight : flights)
    for (SharedRange range : flight.ranges)
      if (!flight.isDone && address >= range.begin && address < range.end)
        return flight.instruction->source->text() + " at ptx line " +
               std::to_string(flight.instruction->source->line) + ", warp " +
               std::to_string(flight.warp) + ", lane " + std::to_string(flight.lane);
  return "";
}

void Flights::mark(Direction direction, SharedRange range) {
  if (direction == Direction::Writes) {
    std::memset(&marks[range.begin], kArriving, range.end - range.begin);
    std::memset(&block.sharedWritten[range.begin], 1, range.end - range.begin);
    return;
  }
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit)
    ++readers[unit];
  uint32_t address = range.begin;
  for (; address + 8 <= range.end; address += 8) {
    uint64_t eight;
    std::memcpy(&eight, &marks[address], 8);
    eight |= 0x0101'0101'0101'0101 * kLeaving;
    std::memcpy(&marks[address], &eight, 8);
  }
  for (; address < range.end; ++address)
    marks[address] |= kLeaving;
}

void Flights::unmark(Direction direction, SharedRange range) {
  if (direction == Direction::Writes) {
    std::memset(&marks[range.begin], 0, range.end - range.begin);
    return;
  }
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit)
    if (--readers[unit] == 0)
      std::memset(&marks[unit * kUnit], 0, std::min(kUnit, block.sharedEnd - unit * kUnit));
}

uint64_t Flights::begin(const Warp &warp, int lane, Direction direction,
                        std::vector<SharedRange> ranges) {
  bool writes = direction == Direction::Writes;
  uint8_t bad = writes ? kArriving | kLeaving | kBarrier : kArriving | kBarrier;
  for (SharedRange range : ranges) {
    uint8_t flags = flagsOf(range.begin, range.end - range.begin);
    if (flags & bad) [[unlikely]] {
      uint32_t at = range.begin;
      while (!(marks[at] & bad))
        ++at;
      std::string_view what = flags & kBarrier    ? "that hold a live mbarrier"
                              : flags & kArriving ? "that an asynchronous operation still writes"
                                                  : "that an asynchronous operation still reads";
      report(warp, lane, FindingKind::Asynchronous,
             std::string(writes ? "starts to write" : "starts to read") + " bytes " +
                 std::string(what),
             at, describe(at));
    }
    if (!writes && !block.sharedWritten[range.begin])
      report(warp, lane, FindingKind::Uninitialized,
             "an asynchronous operation reads shared memory that nobody has written", range.begin);
    mark(direction, range);
  }
  flights.push_back({direction, std::move(ranges), warp.current(), warp.index, lane});
  return firstFlight + flights.size() - 1;
}

void Flights::end(uint64_t flight, SharedRange range) { unmark(at(flight).direction, range); }

void Flights::end(uint64_t flight) {
  Flight &done = at(flight);
  for (SharedRange range : done.ranges)
    unmark(done.direction, range);
  done.isDone = true;
  for (; !flights.empty() && flights.front().isDone; ++firstFlight)
    flights.pop_front();
}

void Flights::check(const Warp &warp, AccessKind kind, LaneMask lanes, const uint64_t *addresses,
                    uint32_t bytes, bool isContiguous) {
  bool isLoad = kind == AccessKind::Load;
  uint8_t bad = isLoad ? kArriving | kBarrier : kArriving | kLeaving | kBarrier;
  bool isClear = isContiguous && !(flagsOf(addresses[0], kWarpSize * bytes) & bad);
  for (LaneMask rest = isClear ? 0 : lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    uint8_t flags = flagsOf(addresses[lane], bytes);
    if (!(flags & bad)) [[likely]]
      continue;
    std::string_view what = flags & kBarrier ? "the bytes of a live mbarrier"
                            : flags & kArriving
                                ? "bytes that an asynchronous copy still writes"
                                : "bytes that an asynchronous operation still reads";
    report(warp, lane, FindingKind::Asynchronous,
           std::string(isLoad ? "reads " : "writes ") + std::string(what), addresses[lane],
           describe(addresses[lane]));
  }
  if (tracksProxies)
    remember(isLoad ? loaders : writers, {time, warp.index * kWarpSize}, lanes, addresses, bytes);
}

/// `by` is the warp's first lane.
void Flights::remember(std::vector<Accessor> &accessors, Accessor by, LaneMask lanes,
                       const uint64_t *addresses, uint32_t bytes) {
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    for (uint64_t unit = addresses[lane] / kUnit; unit * kUnit < addresses[lane] + bytes; ++unit)
      accessors[unit] = {by.time, by.thread + static_cast<uint32_t>(lane)};
  }
}

void Flights::fence(const Warp &warp, LaneMask lanes) {
  ++time;
  for (LaneMask rest = lanes; rest; rest &= rest - 1)
    fences[warp.index * kWarpSize + static_cast<uint32_t>(std::countr_zero(rest))] = time;
}

/// Reports the first of them without a fence. What was looked at is settled.
void Flights::checkEarlier(std::vector<Accessor> &accessors, const Warp &warp, int lane,
                           SharedRange range, std::string message, Severity severity,
                           std::string_view access) {
  uint32_t issuer = warp.index * kWarpSize + static_cast<uint32_t>(lane);
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit) {
    Accessor accessor = std::exchange(accessors[unit], Accessor());
    if (accessor.time == 0 || isFenced(accessor, issuer))
      continue;
    return report(warp, lane, FindingKind::Proxy,
                  message + ", without fence.proxy.async between them", unit * kUnit,
                  "the " + std::string(access) + " of warp " +
                      std::to_string(accessor.thread / kWarpSize) + ", lane " +
                      std::to_string(accessor.thread % kWarpSize),
                  severity);
  }
}

/// That a copy overwrites what was loaded is common where an mbarrier orders the two,
/// and hardware waits: it is an error only where all that PTX asks for is asked for.
void Flights::checkProxy(const Warp &warp, int lane, SharedRange range, Direction direction,
                         std::string_view verb) {
  if (!tracksProxies)
    return;
  std::string start = std::string(verb) + " through the asynchronous proxy what an ordinary ";
  checkEarlier(writers, warp, lane, range, start + "store wrote", Severity::Error, "store");
  if (direction == Direction::Writes)
    checkEarlier(loaders, warp, lane, range, start + "load read",
                 block.machine.hasStrictProxies ? Severity::Error : Severity::Note, "load");
}

void Flights::markBarrier(uint32_t address) {
  for (uint32_t byte = 0; byte < 8; ++byte)
    marks[address + byte] = kBarrier, block.sharedWritten[address + byte] = 1;
}

void Flights::unmarkBarrier(uint32_t address) {
  for (uint32_t byte = 0; byte < 8; ++byte)
    marks[address + byte] = 0, block.sharedWritten[address + byte] = 0;
}

} // namespace vgpu
