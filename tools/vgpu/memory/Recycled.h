#pragma once
// Memory that is kept when it is freed, for whoever needs as much next. Blocks are
// made of large pieces, those of a grid of equally large ones, and the system would
// clear each anew, page by page.

#include <cstddef>
#include <vector>

namespace vgpu {

/// Aligned to two cache lines. A thread keeps what it frees.
void *takeMemory(size_t bytes);
void giveMemory(void *memory, size_t bytes);

/// An allocator.
template <class T> struct Recycling {
  using value_type = T;
  Recycling() = default;
  template <class Other> Recycling(const Recycling<Other> &) {}

  T *allocate(size_t count) { return static_cast<T *>(takeMemory(count * sizeof(T))); }
  void deallocate(T *memory, size_t count) { giveMemory(memory, count * sizeof(T)); }
  template <class Other> bool operator==(const Recycling<Other> &) const { return true; }
};

template <class T> using RecycledVector = std::vector<T, Recycling<T>>;

} // namespace vgpu
