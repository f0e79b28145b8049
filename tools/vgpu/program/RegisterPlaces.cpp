#include "program/RegisterPlaces.h"

#include "program/Liveness.h"
#include "program/Program.h"
#include "program/RegisterUse.h"

#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <utility>

namespace vgpu {

uint32_t registerWords(ptx::Type type) {
  return static_cast<uint32_t>(kWarpSize * std::max(1, ptx::sizeOf(type) / 4));
}

/// In the order in which they come into use, each at the lowest place of its size that
/// is free.
RegisterPlaces shareRegisters(const ptx::Function &function) {
  std::vector<LiveRange> ranges = liveRanges(function);
  std::vector<bool> isInFlight = warpgroupRegisters(function);
  for (size_t index = 0; index < ranges.size(); ++index)
    if (isInFlight[index])
      ranges[index] = {0, std::numeric_limits<uint32_t>::max() - 1};
  std::vector<size_t> order(ranges.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return ranges[a].begin < ranges[b].begin; });
  RegisterPlaces places{std::vector<int32_t>(ranges.size(), 0)};
  std::map<uint32_t, std::set<int32_t>> free; // by size
  using Ending = std::pair<uint32_t, size_t>; // when, and which register
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> inUse;
  auto sizeOf = [&](size_t index) { return registerWords(function.registers[index].type); };
  for (size_t index : order) {
    if (ranges[index].isEmpty())
      break; // and so are those that follow
    for (; !inUse.empty() && inUse.top().first < ranges[index].begin; inUse.pop()) {
      size_t done = inUse.top().second;
      free[sizeOf(done)].insert(places.words[done]);
    }
    if (std::set<int32_t> &some = free[sizeOf(index)]; !some.empty())
      places.words[index] = some.extract(some.begin()).value();
    else
      places.words[index] =
          static_cast<int32_t>(std::exchange(places.end, places.end + sizeOf(index)));
    if (ranges[index].begin == 0)
      places.definedBegin = places.end;
    inUse.emplace(ranges[index].end, index);
  }
  return places;
}

} // namespace vgpu
