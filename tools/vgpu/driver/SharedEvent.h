#pragma once
// An event that several processes record and wait for: each record has a number, and is
// complete when its stream has come there.

#include "memory/PageFile.h"

#include <atomic>

namespace vgpu {

class SharedEvent {
public:
  /// A new one. Throws std::bad_alloc.
  SharedEvent();
  /// That of another process.
  explicit SharedEvent(std::shared_ptr<const PageFile> file);
  ~SharedEvent();
  SharedEvent(const SharedEvent &) = delete;

  const PageFile &pages() const { return *file; }

  /// The number of a new record.
  uint64_t record() { return ++state->records; }
  /// That of the last one; 0 where there is none, which is complete.
  uint64_t latest() const { return state->records; }
  void complete(uint64_t record) { state->completed[record % kSlots] = record; }
  bool isComplete(uint64_t record) const { return state->completed[record % kSlots] >= record; }

private:
  /// Later records than so many others take the place of earlier ones.
  static constexpr uint64_t kSlots = PageFile::kPage / sizeof(uint64_t) - 1;
  struct State {
    std::atomic<uint64_t> records;
    std::atomic<uint64_t> completed[kSlots];
  };
  static_assert(sizeof(State) == PageFile::kPage);

  std::shared_ptr<const PageFile> file;
  State *state;
};

} // namespace vgpu
