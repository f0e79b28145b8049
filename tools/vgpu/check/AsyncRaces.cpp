#include "check/AsyncRaces.h"

#include <algorithm>
#include <bit>

namespace vgpu {
namespace {

template <class Knows> bool allKnow(LaneMask lanes, Knows knows) {
  for (; lanes; lanes &= lanes - 1)
    if (!knows(std::countr_zero(lanes)))
      return false;
  return true;
}

/// A warp waits for its reads as one: to know one of its lanes is enough.
bool knowsAny(const Clock &clock, Agent agent, uint32_t warp, Time time) {
  for (int lane = 0; lane < kWarpSize; ++lane)
    if (clock.knows(agent, warp, LaneMask{1} << lane, time))
      return true;
  return false;
}

} // namespace

uint32_t AsyncRaces::agentOf(uint32_t mbarrier) {
  auto next = static_cast<uint32_t>(agents.size()) % kMostAgents;
  return agents.try_emplace(mbarrier, kFirstAgent + next).first->second;
}

void AsyncRaces::written(Range range, uint32_t mbarrier, Time time, const Party &issuer) {
  auto known = std::find_if(writes.begin(), writes.end(),
                            [&](const Write &write) { return write.range == range; });
  if (known == writes.end()) {
    if (writes.size() == kMostRanges)
      writes.clear();
    known = writes.insert(writes.end(), Write());
  }
  *known = {range, agentOf(mbarrier), time, issuer};
}

void AsyncRaces::read(Range range, uint32_t unit, Time time, const Party &waiter) {
  auto known = std::find_if(reads.begin(), reads.end(), [&](const Read &read) {
    return read.range == range && read.unit == unit;
  });
  if (known == reads.end()) {
    if (reads.size() == kMostRanges)
      reads.clear();
    known = reads.insert(reads.end(), Read{range, unit, {}, {}});
  }
  known->times[waiter.warp % kWarpsOfUnit] = time;
  known->last = waiter;
}

/// Whether the lane knows that one of the warps has waited, and with it all.
bool AsyncRaces::isKnown(const Read &read, uint32_t warp, int lane,
                         const BlockClocks &clocks) const {
  const Clock &clock = clocks.of(warp, lane);
  for (uint32_t number = 0; number < kWarpsOfUnit; ++number) {
    uint32_t reader = read.last.warp / kWarpsOfUnit * kWarpsOfUnit + number;
    Time time = read.times[number];
    if (time && (time <= clocks.floor(warp) || reader == warp ||
                 knowsAny(clock, clocks.agent, reader, time)))
      return true;
  }
  return false;
}

std::optional<Conflict> AsyncRaces::conflict(Range range, bool isWrite, uint32_t warp,
                                             LaneMask lanes, const BlockClocks &clocks) const {
  const Time floor = clocks.floor(warp);
  auto by = [&](const Party &party, bool writes) {
    return Conflict{std::countr_zero(lanes),
                    range.begin,
                    writes,
                    Strength::Weak,
                    clocks.agent,
                    party.warp,
                    party.lanes,
                    party.line};
  };
  for (const Write &write : writes)
    if (write.time > floor && overlap(range, write.range) && !allKnow(lanes, [&](int lane) {
          return clocks.of(warp, lane).knows(clocks.agent, write.agent, 1, write.time);
        }))
      return by(write.issuer, true);
  if (isWrite)
    for (const Read &read : reads)
      if (overlap(range, read.range) &&
          !allKnow(lanes, [&](int lane) { return isKnown(read, warp, lane, clocks); }))
        return by(read.last, false);
  return std::nullopt;
}

} // namespace vgpu
