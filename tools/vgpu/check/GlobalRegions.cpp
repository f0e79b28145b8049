#include "check/GlobalRegions.h"

namespace vgpu {

void GlobalRegions::forgetMet() {
  std::fill(std::begin(met), std::end(met), &nowhere);
  generation = memory.generation();
}

void GlobalRegions::clear() {
  regions.clear();
  nowhere = GlobalRegion();
  nowhere.newestWrite = ~Time{0};
  forgetMet();
}

GlobalRegion &GlobalRegions::find(uint64_t address) {
  if (memory.generation() != generation)
    forgetMet();
  std::optional<Allocation> found = memory.find(address);
  if (!found)
    return nowhere;
  auto known = regions.find(found->begin);
  bool isKnown = known != regions.end() && known->second->end == found->end;
  GlobalRegion &region = isKnown ? *known->second : add(*found);
  region.isReadOnly = found->isReadOnly;
  if (region.seenErasures != memory.erasures()) {
    region.seenErasures = memory.erasures();
    region.writtenEnd = region.begin;
  }
  return region;
}

/// Memory that was freed, or is the host's again, may have become part of it.
GlobalRegion &GlobalRegions::add(const Allocation &allocation) {
  auto region = std::make_unique<GlobalRegion>();
  region->begin = region->writtenEnd = allocation.begin;
  region->end = allocation.end;
  auto other = regions.lower_bound(allocation.begin);
  if (other != regions.begin() && std::prev(other)->second->end > allocation.begin)
    --other;
  while (other != regions.end() && other->first < allocation.end) {
    leaves(*other->second);
    region->newestWrite = std::max(region->newestWrite, other->second->newestWrite);
    other = regions.erase(other);
  }
  return *(regions[allocation.begin] = std::move(region));
}

void GlobalRegions::lookForWritten(GlobalRegion &region) const {
  uint64_t left = region.end - region.writtenEnd;
  region.writtenEnd = memory.firstUninitialized(region.writtenEnd, left).value_or(region.end);
}

} // namespace vgpu
