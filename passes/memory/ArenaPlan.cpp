#include "passes/memory/ArenaPlan.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace llvm;

int64_t moec::planArena(MutableArrayRef<ArenaBuffer> buffers) {
  SmallVector<ArenaBuffer *> bySize, placed;
  for (ArenaBuffer &buffer : buffers)
    bySize.push_back(&buffer);
  stable_sort(bySize, [](auto *a, auto *b) { return a->bytes > b->bytes; });
  int64_t total = 0;
  for (ArenaBuffer *buffer : bySize) {
    // `placed` ascends by offset, so the first gap that fits is the lowest.
    int64_t offset = 0;
    for (ArenaBuffer *other : placed) {
      if (other->last < buffer->first || buffer->last < other->first)
        continue;
      if (offset + buffer->bytes <= other->offset)
        break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    buffer->offset = offset;
    total = std::max(total, offset + buffer->bytes);
    placed.insert(
        upper_bound(placed, buffer, [](auto *a, auto *b) { return a->offset < b->offset; }),
        buffer);
  }
  return total;
}
