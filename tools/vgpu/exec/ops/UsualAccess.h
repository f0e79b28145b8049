#pragma once
// The usual access: by all lanes, to bytes that follow each other, in memory that
// is known and written, and ordered after all that is remembered of it. Most of
// what kernels do is that, so it is checked in one go, for the warp and not for
// lanes. Whatever is unusual goes the way of MemoryPath.h, from its beginning.

#include "check/BlockRaces.h"
#include "exec/ops/GlobalAccess.h"

namespace vgpu::VGPU_VARIANT {
namespace {

inline uint32_t lineOf(const Instruction &instruction) {
  return static_cast<uint32_t>(instruction.source->line);
}

template <AccessKind kind>
[[gnu::noinline]] uint8_t *usualGlobal(Warp &warp, const Instruction &instruction,
                                       uint64_t address) {
  Block &block = warp.block;
  DeviceMemory &memory = block.machine.memory;
  uint32_t each = instruction.memory.bytes(), bytes = kWarpSize * each;
  const Allocation &known = knownRange(block, instruction);
  if (!known.contains(address, bytes) || (kind == AccessKind::Store && known.isReadOnly) ||
      (address & (each - 1)) || !memory.isTracked(address))
    return nullptr;
  if (!memory.areInitialized(address, bytes)) [[unlikely]] {
    if (kind == AccessKind::Load)
      return nullptr;
    memory.markInitialized(address, bytes);
  }
  bool isDone = block.races->global.touchInOrder<kind>(
      address, each, {block.races->clocks, warp.index, lineOf(instruction)});
  return isDone ? reinterpret_cast<uint8_t *>(address) : nullptr;
}

template <AccessKind kind>
[[gnu::noinline]] uint8_t *usualShared(Warp &warp, const Instruction &instruction,
                                       uint64_t address) {
  Block &block = warp.block;
  uint32_t each = instruction.memory.bytes(), bytes = kWarpSize * each;
  SharedRaces *races = block.races->shared;
  if (!races || address < kSharedBase || address + bytes > block.sharedEnd ||
      (address & (each - 1)) || !isAll(&block.sharedMarks[address], kWritten, bytes))
    return nullptr;
  auto first = static_cast<uint32_t>(address);
  bool isDone =
      races->touch(first, each, kind, warp.index, lineOf(instruction), block.races->clocks);
  return isDone ? block.shared(first) : nullptr;
}

/// Operand 0 is the address. Where the bytes of the first lane lie, if the access is
/// usual; else null.
template <AccessKind kind>
[[gnu::always_inline]] inline uint8_t *usualAccess(Warp &warp, const Instruction &instruction,
                                                   LaneMask lanes) {
  const MemoryForm &form = instruction.memory;
  if (lanes != kAllLanes || !warp.block.races || form.order != Order::Weak || form.isVolatile)
    return nullptr;
  Operand base = instruction.operands[0];
  auto offset = static_cast<uint64_t>(instruction.immediate);
  uint64_t address;
  if (form.isAddress32) {
    const auto *bases = warp.lanes<uint32_t>(base);
    if (!areInOrder(bases, form.bytes()))
      return nullptr;
    address = static_cast<uint32_t>(bases[0] + offset);
  } else {
    const auto *bases = warp.lanes<uint64_t>(base);
    if (!areInOrder(bases, form.bytes()))
      return nullptr;
    address = bases[0] + offset;
  }
  bool isGeneric = form.space == ptx::Space::Generic;
  if (form.space == ptx::Space::Shared || (isGeneric && address >> 56 == 1))
    return usualShared<kind>(warp, instruction, address & ~kWindowMask);
  if (isGeneric || form.space == ptx::Space::Global || form.space == ptx::Space::Const)
    return usualGlobal<kind>(warp, instruction, address);
  return nullptr;
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
