#include "async/CopyGroups.h"

#include <utility>

namespace vgpu {

AsyncCopy &CopyGroups::issue() {
  if (idle.empty())
    idle.push_back(std::make_unique<AsyncCopy>());
  AsyncCopy &copy = *copies.emplace_back(std::move(idle.back()));
  idle.pop_back();
  copy.lanes = 0;
  copy.endsInParts = false;
  copy.flight = 0;
  copy.ranges.clear();
  copy.commits = commits.size();
  return copy;
}

void CopyGroups::commit(LaneMask lanes) {
  if (!copies.empty())
    commits.push_back(lanes);
}

void CopyGroups::executeWaited(const Execute &execute) {
  for (const std::unique_ptr<AsyncCopy> &copy : copies)
    if (LaneMask now = copy->lanes & copy->waited) {
      copy->lanes &= ~now;
      execute(*copy, now);
    }
  std::erase_if(copies, [&](std::unique_ptr<AsyncCopy> &copy) {
    if (copy->lanes)
      return false;
    idle.push_back(std::move(copy));
    return true;
  });
  size_t settled = copies.empty() ? commits.size() : copies.front()->commits;
  commits.erase(commits.begin(), commits.begin() + static_cast<ptrdiff_t>(settled));
  for (const std::unique_ptr<AsyncCopy> &copy : copies)
    copy->commits -= settled;
}

void CopyGroups::wait(LaneMask lanes, uint32_t allowed, const Execute &execute) {
  if (allowed >= commits.size())
    return;
  counts.assign(allowed + 1, 0);
  size_t next = commits.size();
  for (auto copy = copies.rbegin(); copy != copies.rend(); ++copy) {
    while (next > (*copy)->commits) {
      LaneMask more = commits[--next];
      for (LaneMask &atLeast : counts)
        more &= std::exchange(atLeast, atLeast | more);
    }
    (*copy)->waited = counts[allowed] & lanes;
  }
  executeWaited(execute);
}

void CopyGroups::waitForAll(LaneMask lanes, const Execute &execute) {
  for (const std::unique_ptr<AsyncCopy> &copy : copies)
    copy->waited = lanes;
  executeWaited(execute);
}

} // namespace vgpu
