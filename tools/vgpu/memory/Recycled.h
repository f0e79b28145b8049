#pragma once
// Memory that is kept when it is freed, for whoever needs as much next. Blocks are
// made of large pieces, those of a grid of equally large ones, and the system would
// clear each anew, page by page.

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

namespace vgpu {

/// Aligned to two cache lines. A thread keeps what it frees.
void *takeMemory(size_t bytes);
void giveMemory(void *memory, size_t bytes);

/// An allocator. What is given no value has none.
template <class T> struct Recycling {
  using value_type = T;
  Recycling() = default;
  template <class Other> Recycling(const Recycling<Other> &) {}

  T *allocate(size_t count) { return static_cast<T *>(takeMemory(count * sizeof(T))); }
  template <class Made> void construct(Made *made) { ::new (static_cast<void *>(made)) Made; }
  template <class Made, class... Values> void construct(Made *made, Values &&...values) {
    ::new (static_cast<void *>(made)) Made(std::forward<Values>(values)...);
  }
  void deallocate(T *memory, size_t count) { giveMemory(memory, count * sizeof(T)); }
  template <class Other> bool operator==(const Recycling<Other> &) const { return true; }
};

template <class T> using RecycledVector = std::vector<T, Recycling<T>>;

} // namespace vgpu
