#include "check/Clock.h"

#include <algorithm>
#include <bit>

namespace vgpu {

uint32_t Clock::floor() const { return *std::min_element(warps.begin(), warps.end()); }

bool Clock::knowsSparsely(Agent agent, uint32_t warp, LaneMask lanes, uint32_t time) const {
  auto knows = [&](uint32_t lane) {
    auto entry = sparse->find(key(agent, warp, lane));
    return entry != sparse->end() && time <= entry->second;
  };
  if (knows(kWarpSize))
    return true;
  for (; lanes; lanes &= lanes - 1)
    if (!knows(static_cast<uint32_t>(std::countr_zero(lanes))))
      return false;
  return true;
}

std::map<uint64_t, uint32_t> &Clock::ownSparse() {
  if (!sparse)
    sparse = std::make_shared<std::map<uint64_t, uint32_t>>();
  else if (sparse.use_count() > 1)
    sparse = std::make_shared<std::map<uint64_t, uint32_t>>(*sparse);
  return *sparse;
}

void Clock::learnLanes(uint32_t warp, LaneMask lanes, uint32_t time) {
  std::map<uint64_t, uint32_t> &own = ownSparse();
  for (; lanes; lanes &= lanes - 1) {
    uint32_t &known = own[key(owner, warp, static_cast<uint32_t>(std::countr_zero(lanes)))];
    known = std::max(known, time);
  }
}

void Clock::join(const Clock &other) {
  if (other.owner == owner) {
    for (size_t warp = 0; warp < warps.size(); ++warp)
      warps[warp] = std::max(warps[warp], other.warps[warp]);
  } else {
    std::map<uint64_t, uint32_t> &own = ownSparse();
    for (size_t warp = 0; warp < other.warps.size(); ++warp) {
      uint32_t &known = own[key(other.owner, static_cast<uint32_t>(warp), kWarpSize)];
      known = std::max(known, other.warps[warp]);
    }
  }
  if (!other.sparse || other.sparse == sparse)
    return;
  std::map<uint64_t, uint32_t> &own = ownSparse();
  for (auto [entry, time] : *other.sparse) {
    uint32_t &known = own[entry];
    known = std::max(known, time);
  }
}

} // namespace vgpu
