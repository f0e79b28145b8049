#include "check/BlockClocks.h"

#include <bit>
#include <utility>

namespace vgpu {

BlockClocks::BlockClocks(Agent agent, Epochs &epochs, Time start,
                         const std::vector<LaneMask> &warps)
    : agent(agent), start(start), epochs(epochs), lanes(warps.size()) {
  auto known = std::make_shared<Clock>(agent, static_cast<uint32_t>(warps.size()), start);
  for (uint32_t warp = 0; warp < warps.size(); ++warp) {
    lanes[warp].existing = warps[warp];
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
  for (LaneMask rest = of.existing; rest; rest &= rest - 1)
    of.floor = std::min(of.floor, (*of.split)[std::countr_zero(rest)]->floor());
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

void BlockClocks::warpSync(uint32_t warp, LaneMask together) {
  WarpClocks &of = lanes[warp];
  bool isAll = together == of.existing;
  if (isAll && !of.split) {
    writable(of.common).learnWarp(warp, epochs.now());
  } else {
    auto joined = std::make_shared<Clock>(*clockOf(warp, std::countr_zero(together)));
    const Clock *last = nullptr;
    for (LaneMask rest = together; rest; rest &= rest - 1) {
      const Clock *next = clockOf(warp, std::countr_zero(rest)).get();
      if (next != last)
        joined->join(*next);
      last = next;
    }
    if (isAll) {
      joined->learnWarp(warp, epochs.now());
      of.split.reset();
      of.common = joined;
    } else {
      joined->learnLanes(warp, together, epochs.now());
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
  WarpClocks &of = lanes[warp];
  Barrier &barrier = barriers[id];
  if (!barrier.clock)
    barrier.clock = std::make_shared<Clock>(*clockOf(warp, std::countr_zero(live)));
  const Clock *last = nullptr;
  for (LaneMask rest = live; rest; rest &= rest - 1) {
    const Clock *next = clockOf(warp, std::countr_zero(rest)).get();
    if (next != last)
      barrier.clock->join(*next);
    last = next;
  }
  bool isAll = live == of.existing;
  if (isAll)
    barrier.clock->learnWarp(warp, epochs.now());
  else
    barrier.clock->learnLanes(warp, live, epochs.now());
  if (waits) {
    barrier.waiting.push_back(warp);
    barrier.gaveAll.push_back(isAll);
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

ClockRef BlockClocks::snapshot(uint32_t warp, int lane) {
  auto clock = std::make_shared<Clock>(*clockOf(warp, lane));
  clock->learnLanes(warp, LaneMask{1} << lane, epochs.now());
  return clock;
}

void BlockClocks::fence(uint32_t warp, LaneMask fencing, Scope scope) {
  WarpClocks &of = lanes[warp];
  if (!of.fenced)
    of.fenced = std::make_unique<std::array<Snapshot, kWarpSize>>();
  for (LaneMask rest = fencing; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    if (of.seen && (*of.seen)[lane])
      acquire(warp, lane, *std::exchange((*of.seen)[lane], nullptr));
    (*of.fenced)[lane] = {snapshot(warp, lane), scope};
  }
  advance(warp);
}

ClockRef BlockClocks::published(uint32_t warp, int lane, bool releases, Scope &scope) {
  if (releases) {
    ClockRef clock = snapshot(warp, lane);
    advance(warp);
    return clock;
  }
  const WarpClocks &of = lanes[warp];
  if (!of.fenced || !(*of.fenced)[lane].clock)
    return nullptr;
  scope = std::min(scope, (*of.fenced)[lane].scope);
  return (*of.fenced)[lane].clock;
}

void BlockClocks::observe(uint32_t warp, int lane, const Clock &clock, bool acquires) {
  if (acquires)
    return acquire(warp, lane, clock);
  WarpClocks &of = lanes[warp];
  if (!of.seen)
    of.seen = std::make_unique<std::array<ClockRef, kWarpSize>>();
  ClockRef &seen = (*of.seen)[lane];
  if (seen)
    writable(seen).join(clock);
  else
    seen = std::make_shared<Clock>(clock);
}

void BlockClocks::acquire(uint32_t warp, int lane, const Clock &clock) {
  WarpClocks &of = lanes[warp];
  split(of);
  writable((*of.split)[lane]).join(clock);
  refresh(warp);
}

void BlockClocks::arrive(uint32_t warp, int lane, ClockRef &barrier) {
  ClockRef own = snapshot(warp, lane);
  if (barrier)
    writable(barrier).join(*own);
  else
    barrier = std::move(own);
  advance(warp);
}

} // namespace vgpu
