#include "count/CacheModel.h"

#include <algorithm>
#include <bit>

namespace vgpu {

void CacheModel::writeBack(uint8_t &dirty) {
  dramWriteBytes += kSectorBytes * static_cast<uint64_t>(std::popcount(dirty));
  dirty = 0;
}

CacheModel::Set &CacheModel::setOf(uint64_t line) {
  // Each run of lines through all sets begins elsewhere, and covers them evenly.
  constexpr uint64_t kTurn = 0x9e3779b1;
  uint64_t run = line / sets.size();
  return sets[(line + run * kTurn) % sets.size()];
}

void CacheModel::access(uint64_t line, uint32_t sectors, bool isWrite) {
  Set &set = setOf(line);
  uint64_t *end = set.tags + kWays;
  auto way = static_cast<size_t>(std::find(set.tags, end, line + 1) - set.tags);
  uint8_t valid = 0, dirty = 0;
  if (way < kWays) {
    valid = set.valid[way];
    dirty = set.dirty[way];
  } else {
    way = kWays - 1;
    writeBack(set.dirty[way]);
  }
  // The line goes to the front.
  std::copy_backward(set.tags, set.tags + way, set.tags + way + 1);
  std::copy_backward(set.valid, set.valid + way, set.valid + way + 1);
  std::copy_backward(set.dirty, set.dirty + way, set.dirty + way + 1);
  uint64_t bytes = kSectorBytes * static_cast<uint64_t>(std::popcount(sectors));
  if (isWrite) {
    writtenBytes += bytes;
    dirty |= static_cast<uint8_t>(sectors);
  } else {
    readBytes += bytes;
    dramReadBytes += kSectorBytes * static_cast<uint64_t>(std::popcount(sectors & ~valid));
  }
  set.tags[0] = line + 1;
  set.valid[0] = valid | static_cast<uint8_t>(sectors);
  set.dirty[0] = dirty;
}

void CacheModel::flush() {
  for (Set &set : sets)
    for (uint8_t &dirty : set.dirty)
      writeBack(dirty);
}

} // namespace vgpu
