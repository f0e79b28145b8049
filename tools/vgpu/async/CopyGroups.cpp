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
  AsyncCopy &copy = copies.emplace_back();
  copy.group = openGroup;
  return copy;
}

void CopyGroups::commit(LaneMask lanes) {
  forLanes(lanes, [&](int lane) { ++openGroup[lane]; });
}

/// `choose(copy)` says for which lanes it is executed.
template <class Choose> void CopyGroups::executeIf(const Execute &execute, Choose choose) {
  for (AsyncCopy &copy : copies) {
    LaneMask now = copy.lanes & choose(copy);
    if (!now)
      continue;
    copy.lanes &= ~now;
    execute(copy, now);
  }
  while (!copies.empty() && !copies.front().lanes)
    copies.pop_front();
  std::erase_if(copies, [](const AsyncCopy &copy) { return copy.lanes == 0; });
}

void CopyGroups::wait(LaneMask lanes, uint32_t allowed, const Execute &execute) {
  executeIf(execute, [&](const AsyncCopy &copy) {
    LaneMask older = 0;
    for (int lane = 0; lane < kWarpSize; ++lane)
      older |= LaneMask{uint64_t{copy.group[lane]} + allowed < openGroup[lane]} << lane;
    return older & lanes;
  });
}

void CopyGroups::waitForAll(LaneMask lanes, const Execute &execute) {
  executeIf(execute, [&](const AsyncCopy &) { return lanes; });
}

} // namespace vgpu
