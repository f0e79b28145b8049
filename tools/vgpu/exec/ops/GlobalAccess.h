#pragma once
// Accesses to global memory: in an allocation, written before they are read.

#include "exec/ops/Addresses.h"

namespace vgpu::VGPU_VARIANT {
namespace {

/// Reports lanes that read what nobody has written.
inline void checkWrittenGlobal(Warp &warp, const Accessed &accessed, LaneMask lanes,
                               uint32_t bytes) {
  DeviceMemory &memory = warp.block.machine.memory;
  forLanes(lanes, [&](int lane) {
    uint64_t address = accessed.addresses[lane];
    if (memory.areInitialized(address, bytes)) [[likely]]
      return;
    reportUninitialized(warp, ptx::Space::Global, lane, address);
    memory.markInitialized(address, bytes); // once is enough
  });
}

/// The allocation that the instruction met last, if it is there still.
inline Allocation &knownRange(Block &block, const Instruction &instruction) {
  uint64_t generation = block.machine.memory.generation();
  if (block.knownGeneration != generation) [[unlikely]] {
    std::fill(std::begin(block.knownRanges), std::end(block.knownRanges), Allocation());
    block.knownGeneration = generation;
  }
  return block.knownRanges[reinterpret_cast<uintptr_t>(&instruction) / sizeof(Instruction) %
                           std::size(block.knownRanges)];
}

inline void accessGlobal(Warp &warp, const Instruction &instruction, LaneMask lanes,
                         Accessed &accessed, AccessKind kind) {
  Block &block = warp.block;
  DeviceMemory &memory = block.machine.memory;
  uint32_t bytes = instruction.memory.bytes();
  Extent extent = extentOf(accessed, lanes, bytes);
  describeLanes(accessed, lanes, bytes);
  // What is far apart is not in the processor's caches: it is sought while it is checked.
  if (accessed.runs == lanes)
    forLanes(lanes, [&](int lane) {
      __builtin_prefetch(reinterpret_cast<const uint8_t *>(accessed.addresses[lane]));
    });
  Allocation &known = knownRange(block, instruction);
  bool isKnown = extent.low >= known.begin && extent.high + bytes <= known.end &&
                 (kind == AccessKind::Load || !known.isReadOnly);
  if (!isKnown)
    known = checkEachGlobal(warp, lanes, accessed.addresses, bytes, kind);
  if (memory.isTracked(extent.low) && memory.isTracked(extent.high)) {
    bool areWritten = true;
    eachRun(accessed.runs, lanes, bytes, [&](int lane, uint32_t count) {
      areWritten &= memory.areInitialized(accessed.addresses[lane], count);
    });
    if (!areWritten && kind != AccessKind::Store) [[unlikely]]
      checkWrittenGlobal(warp, accessed, lanes, bytes);
    if (!areWritten && kind != AccessKind::Load)
      eachRun(accessed.runs, lanes, bytes, [&](int lane, uint32_t count) {
        memory.markInitialized(accessed.addresses[lane], count);
      });
  }
  tellObserver(warp, instruction, lanes, accessed, ptx::Space::Global, kind);
  setBytes(accessed, 0);
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
