#include "check/ReadLog.h"

#include <new>
#include <sys/mman.h>

namespace vgpu {

uint32_t *LogPieces::take() {
  constexpr size_t kHugePage = 2 << 20; // one to clear for the system, and not many
  if (idle.empty()) {
    auto *slab = static_cast<uint32_t *>(std::aligned_alloc(kHugePage, kHugePage));
    if (!slab)
      throw std::bad_alloc();
    madvise(slab, kHugePage, MADV_HUGEPAGE);
    slabs.emplace_back(slab);
    for (size_t word = kHugePage / sizeof(uint32_t); word > 0;)
      idle.push_back(slab + (word -= kWords));
  }
  uint32_t *piece = idle.back();
  idle.pop_back();
  ++used;
  return piece;
}

} // namespace vgpu
