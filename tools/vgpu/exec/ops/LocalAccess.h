#pragma once
// Accesses to local memory, where the words of 32 lanes lie together.

#include "exec/ops/Addresses.h"

namespace vgpu::VGPU_VARIANT {
namespace {

/// Calls visit(word, first byte in the word, bytes, offset in the access).
template <class Visit>
inline void localWords(uint64_t address, uint32_t bytes, int lane, Visit visit) {
  for (uint32_t done = 0; done < bytes;) {
    uint32_t inWord = static_cast<uint32_t>((address + done) % 4);
    uint32_t count = std::min(4 - inWord, bytes - done);
    visit((address + done) / 4 * kWarpSize + lane, inWord, count, done);
    done += count;
  }
}

inline void accessLocal(Warp &warp, const Instruction &instruction, LaneMask lanes,
                        Accessed &accessed, AccessKind kind) {
  uint32_t bytes = instruction.memory.bytes();
  accessed.runs = lanes;
  extentOf(accessed, lanes, bytes);
  accessed.local |= lanes;
  forLanes(lanes, [&](int lane) {
    uint64_t address = accessed.addresses[lane];
    if (address + bytes > warp.local.size() / kWarpSize * 4 || address + bytes < address)
      faultLocal(warp, lane, address, bytes);
    accessed.bytes[lane] = accessed.bounce[lane];
    localWords(address, bytes, lane, [&](size_t word, uint32_t from, uint32_t count, uint32_t at) {
      auto mask = static_cast<uint8_t>(((1u << count) - 1) << from);
      if (kind != AccessKind::Store && (warp.localWritten[word] & mask) != mask) {
        reportUninitialized(warp, ptx::Space::Local, lane, address);
        warp.localWritten[word] |= mask;
      }
      if (kind != AccessKind::Load)
        warp.localWritten[word] |= mask;
      std::memcpy(accessed.bounce[lane] + at, reinterpret_cast<uint8_t *>(&warp.local[word]) + from,
                  count);
    });
  });
  tellObserver(warp, instruction, lanes, accessed, ptx::Space::Local, kind);
}

/// After a store or an atomic: what went to the bounce buffer goes to memory.
inline void finish(Warp &warp, const Instruction &instruction, const Accessed &accessed) {
  if (!accessed.local) [[likely]]
    return;
  forLanes(accessed.local, [&](int lane) {
    localWords(accessed.addresses[lane], instruction.memory.bytes(), lane,
               [&](size_t word, uint32_t from, uint32_t count, uint32_t at) {
                 std::memcpy(reinterpret_cast<uint8_t *>(&warp.local[word]) + from,
                             accessed.bounce[lane] + at, count);
               });
  });
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
