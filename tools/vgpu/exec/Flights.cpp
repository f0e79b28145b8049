#include "exec/Flights.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace vgpu {

Flights::Flights(Block &block, bool tracksProxies)
    : block(block), tracksProxies(tracksProxies), readers(block.sharedEnd / kUnit + 1),
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
    std::memcpy(&word, &block.sharedMarks[address + byte], 8);
    all |= word;
  }
  for (; byte < bytes; ++byte)
    all |= block.sharedMarks[address + byte];
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
  uint8_t *marks = block.sharedMarks.data();
  if (direction == Direction::Writes) {
    std::memset(marks + range.begin, kArriving | kWritten, range.end - range.begin);
    return;
  }
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit)
    ++readers[unit];
  uint32_t address = range.begin;
  for (; address + 8 <= range.end; address += 8) {
    uint64_t eight;
    std::memcpy(&eight, marks + address, 8);
    eight |= 0x0101'0101'0101'0101u * kLeaving;
    std::memcpy(marks + address, &eight, 8);
  }
  for (; address < range.end; ++address)
    marks[address] |= kLeaving;
}

void Flights::unmark(Direction direction, SharedRange range) {
  uint8_t *marks = block.sharedMarks.data();
  if (direction == Direction::Writes) {
    std::memset(marks + range.begin, kWritten, range.end - range.begin);
    return;
  }
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit) {
    if (--readers[unit] != 0)
      continue;
    for (uint32_t byte = 0; byte < kUnit; ++byte)
      marks[unit * kUnit + byte] &= kWritten;
  }
}

uint64_t Flights::begin(const Warp &warp, int lane, Direction direction,
                        std::vector<SharedRange> ranges) {
  bool writes = direction == Direction::Writes;
  uint8_t bad = writes ? kArriving | kLeaving | kBarrier : kArriving | kBarrier;
  for (SharedRange range : ranges) {
    uint8_t flags = flagsOf(range.begin, range.end - range.begin);
    if (flags & bad) [[unlikely]] {
      uint32_t at = range.begin;
      while (!(block.sharedMarks[at] & bad))
        ++at;
      std::string_view what = flags & kBarrier    ? "that hold a live mbarrier"
                              : flags & kArriving ? "that an asynchronous operation still writes"
                                                  : "that an asynchronous operation still reads";
      report(warp, lane, FindingKind::Asynchronous,
             std::string(writes ? "starts to write" : "starts to read") + " bytes " +
                 std::string(what),
             at, describe(at));
    }
    if (!writes && !(block.sharedMarks[range.begin] & kWritten))
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
  std::vector<Accessor> &accessors = kind == AccessKind::Load ? loaders : writers;
  eachAddress(groups, lanes, [&](int lane, LaneMask together) {
    uint64_t begin = addresses[lane];
    auto last = static_cast<uint32_t>(kWarpSize - 1 - std::countl_zero(together));
    for (uint64_t unit = begin / kUnit; unit * kUnit < begin + bytes; ++unit)
      accessors[unit] = {time, warp.index * kWarpSize + last};
  });
}

void Flights::fence(const Warp &warp, LaneMask lanes) {
  ++time;
  for (LaneMask rest = lanes; rest; rest &= rest - 1)
    fences[warp.index * kWarpSize + static_cast<uint32_t>(std::countr_zero(rest))] = time;
}

/// Reports the first of them without a fence. What was looked at is settled.
void Flights::checkEarlier(std::vector<Accessor> &accessors, const Warp &warp, int lane,
                           SharedRange range, std::string_view verb, Severity severity,
                           std::string_view access) {
  uint32_t issuer = warp.index * kWarpSize + static_cast<uint32_t>(lane);
  for (uint32_t unit = range.begin / kUnit; unit * kUnit < range.end; ++unit) {
    Accessor accessor = std::exchange(accessors[unit], Accessor());
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
}

/// That a copy overwrites what was loaded is common where an mbarrier orders the two,
/// and hardware waits: it is an error only where all that PTX asks for is asked for.
void Flights::checkProxy(const Warp &warp, int lane, SharedRange range, Direction direction,
                         std::string_view verb) {
  if (!tracksProxies)
    return;
  checkEarlier(writers, warp, lane, range, verb, Severity::Error, "store wrote");
  if (direction == Direction::Writes)
    checkEarlier(loaders, warp, lane, range, verb,
                 block.machine.hasStrictProxies ? Severity::Error : Severity::Note, "load read");
}

void Flights::markBarrier(uint32_t address) {
  std::memset(&block.sharedMarks[address], kBarrier | kWritten, 8);
}

void Flights::unmarkBarrier(uint32_t address) { std::memset(&block.sharedMarks[address], 0, 8); }

} // namespace vgpu
