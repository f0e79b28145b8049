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

void CopyGroups::issue(AsyncCopy copy) {
  copy.group = openGroup;
  copies.push_back(copy);
}

void CopyGroups::commit(LaneMask lanes) {
  forLanes(lanes, [&](int lane) { ++openGroup[lane]; });
}

template <class Choose> void CopyGroups::executeIf(const Execute &execute, Choose choose) {
  for (AsyncCopy &copy : copies) {
    LaneMask now = 0;
    forLanes(copy.lanes, [&](int lane) {
      if (choose(copy, lane))
        now |= LaneMask{1} << lane;
    });
    if (!now)
      continue;
    copy.lanes &= ~now;
    execute(copy, now);
  }
  std::erase_if(copies, [](const AsyncCopy &copy) { return copy.lanes == 0; });
}

void CopyGroups::wait(LaneMask lanes, uint32_t allowed, const Execute &execute) {
  executeIf(execute, [&](const AsyncCopy &copy, int lane) {
    uint64_t newer = uint64_t{copy.group[lane]} + allowed;
    return (lanes >> lane & 1) && newer < openGroup[lane];
  });
}

void CopyGroups::waitForAll(LaneMask lanes, const Execute &execute) {
  executeIf(execute, [&](const AsyncCopy &, int lane) { return lanes >> lane & 1; });
}

} // namespace vgpu
