#pragma once
// Accesses to shared memory: in the block's, written before they are read, and not
// what asynchronous operations touch.

#include "exec/Asynchrony.h"
#include "exec/ops/Addresses.h"

namespace vgpu::VGPU_VARIANT {
namespace {

/// The marks that all bytes of some ranges have, and those that any has.
struct Marks {
  uint64_t all = ~uint64_t{0}, any = 0; ///< of eight bytes each

  /// As many bytes as T has.
  template <class T> void add(const uint8_t *marks) {
    T some;
    std::memcpy(&some, marks, sizeof some);
    any |= some;
    all &= some | ~uint64_t{T(~T{0})};
  }
  void addMany(const uint8_t *marks, uint32_t bytes) {
    for (uint32_t byte = 0; byte < bytes; byte += 8)
      add<uint64_t>(marks + byte);
  }
  bool haveAll(uint8_t mark) const {
    uint64_t wanted = 0x0101'0101'0101'0101u * mark;
    return (all & wanted) == wanted;
  }
  bool hasAny(uint8_t marks) const { return any & 0x0101'0101'0101'0101u * marks; }
};

inline Marks marksOf(const Block &block, const Accessed &accessed, LaneMask lanes, uint32_t bytes) {
  Marks marks;
  const uint8_t *known = block.sharedMarks.data();
  const uint64_t *addresses = accessed.addresses;
  if (accessed.isContiguous) {
    marks.addMany(known + addresses[0], bytes * kWarpSize);
    return marks;
  }
  auto each = [&](auto add) {
    eachAddress(accessed.groupsIfAny(), lanes,
                [&](int lane, LaneMask) { add(known + addresses[lane]); });
  };
  switch (bytes) {
  case 1:
    each([&](const uint8_t *some) { marks.add<uint8_t>(some); });
    break;
  case 2:
    each([&](const uint8_t *some) { marks.add<uint16_t>(some); });
    break;
  case 4:
    each([&](const uint8_t *some) { marks.add<uint32_t>(some); });
    break;
  case 16:
    each([&](const uint8_t *some) { marks.addMany(some, 16); });
    break;
  default:
    each([&](const uint8_t *some) { marks.addMany(some, bytes); });
    break;
  }
  return marks;
}

/// Reports lanes that read what nobody has written.
inline void checkWritten(Warp &warp, const Accessed &accessed, LaneMask lanes, uint32_t bytes) {
  forLanes(lanes, [&](int lane) {
    uint8_t *marks = &warp.block.sharedMarks[accessed.addresses[lane]];
    if (std::all_of(marks, marks + bytes, [](uint8_t mark) { return mark & kWritten; }))
      return;
    reportUninitialized(warp, ptx::Space::Shared, lane, accessed.addresses[lane]);
    std::for_each(marks, marks + bytes, [](uint8_t &mark) { mark |= kWritten; });
  });
}

inline void markWritten(Block &block, const Accessed &accessed, LaneMask lanes, uint32_t bytes) {
  auto mark = [&](uint64_t address, uint32_t count) {
    uint8_t *marks = &block.sharedMarks[address];
    for (uint32_t byte = 0; byte < count; ++byte)
      marks[byte] |= kWritten;
  };
  if (accessed.isContiguous)
    return mark(accessed.addresses[0], bytes * kWarpSize);
  forLanes(lanes, [&](int lane) { mark(accessed.addresses[lane], bytes); });
}

inline void accessShared(Warp &warp, const Instruction &instruction, LaneMask lanes,
                         Accessed &accessed, AccessKind kind) {
  Block &block = warp.block;
  uint32_t bytes = instruction.memory.bytes();
  Extent extent = extentOf(accessed, lanes, bytes);
  if (extent.low < kSharedBase || extent.high + bytes > block.sharedEnd)
    faultShared(block, lanes, accessed.addresses, bytes, kind);
  describeLanes(accessed, lanes, bytes);
  Marks marks = marksOf(block, accessed, lanes, bytes);
  if (block.asynchrony) [[unlikely]] {
    Flights &flights = block.asynchrony->flights;
    if (marks.hasAny(Flights::kForbidden) || flights.mayMeet(kind, extent.low, extent.high + bytes))
      flights.check(warp, kind, lanes, accessed.addresses, bytes);
    flights.remember(warp, kind, lanes, accessed.addresses, bytes, accessed.groupsIfAny());
  }
  if (!marks.haveAll(kWritten)) [[unlikely]] {
    if (kind != AccessKind::Store)
      checkWritten(warp, accessed, lanes, bytes);
    if (kind != AccessKind::Load)
      markWritten(block, accessed, lanes, bytes);
  }
  tellObserver(warp, instruction, lanes, accessed, ptx::Space::Shared, kind);
  setBytes(accessed, reinterpret_cast<uintptr_t>(block.sharedBytes.data()));
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
