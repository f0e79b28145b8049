#include "memory/Recycled.h"

#include <new>
#include <unordered_map>

namespace vgpu {
namespace {

constexpr std::align_val_t kAlignment{128};
constexpr size_t kMostKept = 64 << 20;

/// By their size.
struct Kept {
  ~Kept();
  std::unordered_map<size_t, std::vector<void *>> pieces;
  size_t bytes = 0;
};

thread_local bool isEnding = false; ///< what is freed later than `kept` is not kept
thread_local Kept kept;

Kept::~Kept() {
  isEnding = true;
  for (auto &[size, some] : pieces)
    for (void *memory : some)
      ::operator delete(memory, kAlignment);
}

} // namespace

void *takeMemory(size_t bytes) {
  if (!isEnding)
    if (std::vector<void *> &some = kept.pieces[bytes]; !some.empty()) {
      void *memory = some.back();
      some.pop_back();
      kept.bytes -= bytes;
      return memory;
    }
  return ::operator new(bytes, kAlignment);
}

void giveMemory(void *memory, size_t bytes) {
  if (isEnding || kept.bytes + bytes > kMostKept)
    return ::operator delete(memory, kAlignment);
  kept.pieces[bytes].push_back(memory);
  kept.bytes += bytes;
}

} // namespace vgpu
