#include "async/CopyGroups.h"

#include <algorithm>
#include <bit>

namespace vgpu {
namespace {

template <class Visit> void forLanes(LaneMask lanes, Visit visit) {
  for (; lanes; lanes &= lanes - 1)
    visit(std::countr_zero(lanes));
}

} // namespace

AsyncCopy &CopyGroups::issue() {
  if (idle.empty())
    idle.push_back(std::make_unique<AsyncCopy>());
  AsyncCopy &copy = *copies.emplace_back(std::move(idle.back()));
  idle.pop_back();
  copy.lanes = 0;
  copy.ranges.clear();
  copy.group = openGroup;
  return copy;
}

void CopyGroups::commit(LaneMask lanes) {
  forLanes(lanes, [&](int lane) { ++openGroup[lane]; });
}

/// `choose(copy)` says for which lanes it is executed. Where it is none, none of the
/// later copies is.
template <class Choose> void CopyGroups::executeIf(const Execute &execute, Choose choose) {
  for (const std::unique_ptr<AsyncCopy> &copy : copies) {
    LaneMask chosen = choose(*copy), now = copy->lanes & chosen;
    if (!chosen)
      break;
    if (!now)
      continue;
    copy->lanes &= ~now;
    execute(*copy, now);
  }
  std::erase_if(copies, [&](std::unique_ptr<AsyncCopy> &copy) {
    if (copy->lanes)
      return false;
    idle.push_back(std::move(copy));
    return true;
  });
}

void CopyGroups::wait(LaneMask lanes, uint32_t allowed, const Execute &execute) {
  executeIf(execute, [&](const AsyncCopy &copy) {
    LaneMask older = 0;
    for (int lane = 0; lane < kWarpSize; ++lane)
      older |= openGroup[lane] - copy.group[lane] > allowed ? LaneMask{1} << lane : 0;
    return older & lanes;
  });
}

void CopyGroups::waitForAll(LaneMask lanes, const Execute &execute) {
  executeIf(execute, [&](const AsyncCopy &) { return lanes; });
}

} // namespace vgpu
