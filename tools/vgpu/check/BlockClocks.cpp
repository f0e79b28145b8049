#include "check/BlockClocks.h"

#include <bit>
#include <utility>

namespace vgpu {
namespace {

void give(ClockRef clock, ClockRef &barrier) {
  if (barrier)
    writable(barrier).join(*clock);
  else
    barrier = std::move(clock);
}

} // namespace

BlockClocks::BlockClocks(Agent agent, Epochs &epochs, Time start,
                         const std::vector<LaneMask> &warps)
    : agent(agent), start(start), epochs(epochs), lanes(warps.size()) {
  auto known = std::make_shared<Clock>(agent, static_cast<uint32_t>(warps.size()), start);
  for (uint32_t warp = 0; warp < warps.size(); ++warp) {
    lanes[warp].existing = lanes[warp].acting = warps[warp];
    lanes[warp].common = known;
    lanes[warp].floor = lanes[warp].ownKnown = start;
    advance(warp);
  }
}

void BlockClocks::refresh(uint32_t warp) {
  WarpClocks &of = lanes[warp];
  if (!of.split) {
    of.floor = of.common->floor();
    return;
  }
  of.floor = ~Time{0};
  const Clock *last = nullptr;
  for (LaneMask rest = of.acting; rest; rest &= rest - 1) {
    const Clock *clock = (*of.split)[std::countr_zero(rest)].get();
    if (clock != last)
      of.floor = std::min(of.floor, clock->floor());
    last = clock;
  }
}

void BlockClocks::setAll(uint32_t warp, ClockRef clock) {
  lanes[warp].split.reset();
  lanes[warp].common = std::move(clock);
  refresh(warp);
}

void BlockClocks::split(WarpClocks &warp) {
  if (warp.split)
    return;
  warp.split = std::make_unique<std::array<ClockRef, kWarpSize>>();
  warp.split->fill(warp.common);
  warp.common.reset();
}

/// What the lanes know together, and all that they did.
ClockRef BlockClocks::snapshot(uint32_t warp, LaneMask together) const {
  const Clock *last = clockOf(warp, std::countr_zero(together)).get();
  auto joined = std::make_shared<Clock>(*last);
  for (LaneMask rest = together; rest; rest &= rest - 1) {
    const Clock *next = clockOf(warp, std::countr_zero(rest)).get();
    if (next != last)
      joined->join(*next);
    last = next;
  }
  if (together == lanes[warp].existing)
    joined->learnWarp(warp, epochs.now());
  else
    joined->learnLanes(warp, together, epochs.now());
  return joined;
}

void BlockClocks::warpSync(uint32_t warp, LaneMask together) {
  WarpClocks &of = lanes[warp];
  bool isAll = together == of.existing;
  if (isAll && !of.split) {
    writable(of.common).learnWarp(warp, epochs.now());
  } else {
    ClockRef joined = snapshot(warp, together);
    if (isAll) {
      of.split.reset();
      of.common = joined;
    } else {
      split(of);
      for (LaneMask rest = together; rest; rest &= rest - 1)
        (*of.split)[std::countr_zero(rest)] = joined;
    }
  }
  if (isAll)
    of.ownKnown = epochs.now();
  refresh(warp);
  advance(warp);
}

void BlockClocks::barrierArrive(uint32_t warp, LaneMask live, int id, bool waits) {
  Barrier &barrier = barriers[id];
  const WarpClocks &of = lanes[warp];
  if (barrier.clock && !of.split && live == of.existing) { // the usual case, without a copy
    barrier.clock->join(*of.common);
    barrier.clock->learnWarp(warp, epochs.now());
  } else {
    give(snapshot(warp, live), barrier.clock);
  }
  if (waits) {
    barrier.waiting.push_back(warp);
    barrier.gaveAll.push_back(live == lanes[warp].existing);
  } else {
    advance(warp);
  }
}

void BlockClocks::barrierComplete(int id) {
  Barrier done = std::move(barriers[id]);
  barriers.erase(id);
  // Nothing happened in the warps that wait since they arrived.
  Time before = epochs.now();
  for (size_t index = 0; index < done.waiting.size(); ++index)
    if (done.gaveAll[index])
      done.clock->learnWarp(done.waiting[index], before);
  for (size_t index = 0; index < done.waiting.size(); ++index) {
    uint32_t warp = done.waiting[index];
    if (done.gaveAll[index])
      lanes[warp].ownKnown = before;
    setAll(warp, done.clock);
    advance(warp);
  }
}

void BlockClocks::fence(uint32_t warp, LaneMask fencing, LaneMask live, Scope scope) {
  WarpClocks &of = lanes[warp];
  if (!of.fenced)
    of.fenced = std::make_unique<std::array<Snapshot, kWarpSize>>();
  for (LaneMask rest = fencing; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    LaneMask only = LaneMask{1} << lane;
    if (of.seen && (*of.seen)[lane])
      acquire(warp, only, live, *std::exchange((*of.seen)[lane], nullptr));
    (*of.fenced)[lane] = {snapshot(warp, only), scope};
  }
  advance(warp);
}

ClockRef BlockClocks::published(uint32_t warp, int lane, bool releases, Scope &scope) {
  if (releases) {
    ClockRef clock = snapshot(warp, LaneMask{1} << lane);
    advance(warp);
    return clock;
  }
  const WarpClocks &of = lanes[warp];
  if (!of.fenced || !(*of.fenced)[lane].clock)
    return nullptr;
  scope = std::min(scope, (*of.fenced)[lane].scope);
  return (*of.fenced)[lane].clock;
}

void BlockClocks::observe(uint32_t warp, int lane, LaneMask live, const Clock &clock,
                          bool acquires) {
  if (acquires)
    return acquire(warp, LaneMask{1} << lane, live, clock);
  WarpClocks &of = lanes[warp];
  if (!of.seen)
    of.seen = std::make_unique<std::array<ClockRef, kWarpSize>>();
  ClockRef &seen = (*of.seen)[lane];
  if (seen)
    writable(seen).join(clock);
  else
    seen = std::make_shared<Clock>(clock);
}

/// Lanes with one clock keep one; those that have left no longer matter.
void BlockClocks::acquire(uint32_t warp, LaneMask taking, LaneMask live, const Clock &clock) {
  WarpClocks &of = lanes[warp];
  of.acting = live;
  bool areAll = (live & ~taking) == 0;
  if (areAll && !of.split) {
    writable(of.common).join(clock);
    return refresh(warp);
  }
  split(of);
  ClockRef before, after;
  bool areOne = areAll;
  for (LaneMask rest = taking; rest; rest &= rest - 1) {
    ClockRef &own = (*of.split)[std::countr_zero(rest)];
    if (own != before) {
      areOne = areOne && !before;
      before = own;
      after = std::make_shared<Clock>(*own);
      after->join(clock);
    }
    own = after;
  }
  if (areOne) {
    of.split.reset();
    of.common = after;
  }
  refresh(warp);
}

void BlockClocks::arrive(uint32_t warp, LaneMask arriving, ClockRef &barrier) {
  give(snapshot(warp, arriving), barrier);
  advance(warp);
}

} // namespace vgpu
