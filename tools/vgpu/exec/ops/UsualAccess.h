#pragma once
// The usual access: by all lanes, to bytes that follow each other, in memory that
// is known and written, and ordered after all that is remembered of it. Most of
// what kernels do is that, so it is checked in one go, for the warp and not for
// lanes. So are loads from anywhere in an allocation that is written and that nobody
// writes to. Whatever is unusual goes the way of MemoryPath.h, from its beginning.

#include "check/BlockRaces.h"
#include "exec/ops/GlobalAccess.h"

namespace vgpu::VGPU_VARIANT {
namespace {

inline uint32_t lineOf(const Instruction &instruction) {
  return static_cast<uint32_t>(instruction.source->line);
}

inline GlobalRaces::Context contextOf(const Warp &warp, const Instruction &instruction) {
  return {warp.block.races->clocks, warp.index, lineOf(instruction)};
}

/// The allocation that holds the address, which is likely to be the one that the
/// instruction met last.
inline GlobalRegion &regionOf(const Warp &warp, const Instruction &instruction, uint64_t address) {
  return warp.block.races->global.regionOf(
      reinterpret_cast<uintptr_t>(&instruction) / sizeof(Instruction), address);
}

/// Bytes of the region of which it is not known that they are written: those that are
/// stored are from now on.
template <AccessKind kind>
[[gnu::noinline]] bool becomeWritten(Warp &warp, GlobalRegion &region, uint64_t address,
                                     uint32_t bytes) {
  DeviceMemory &memory = warp.block.machine.memory;
  if (!memory.isTracked(address))
    return false;
  if (kind == AccessKind::Load && !memory.areInitialized(address, bytes))
    return false;
  if (kind == AccessKind::Store)
    memory.markInitialized(address, bytes);
  warp.block.races->global.lookForWritten(region);
  return true;
}

/// All lanes access `each` bytes.
template <AccessKind kind>
[[gnu::always_inline]] inline uint8_t *usualGlobal(Warp &warp, const Instruction &instruction,
                                                   uint64_t address, uint32_t each) {
  uint32_t bytes = kWarpSize * each;
  GlobalRegion &region = regionOf(warp, instruction, address);
  if (!region.contains(address, bytes) || (kind == AccessKind::Store && region.isReadOnly) ||
      (address & (each - 1))) [[unlikely]]
    return nullptr;
  if (address + bytes > region.writtenEnd) [[unlikely]]
    if (!becomeWritten<kind>(warp, region, address, bytes))
      return nullptr;
  bool isDone = warp.block.races->global.touchInOrder<kind>(region, address, each,
                                                            contextOf(warp, instruction));
  return isDone ? reinterpret_cast<uint8_t *>(address) : nullptr;
}
template <AccessKind kind>
[[gnu::noinline]] uint8_t *usualGlobal(Warp &warp, const Instruction &instruction,
                                       uint64_t address) {
  return usualGlobal<kind>(warp, instruction, address, instruction.memory.bytes());
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

/// Whether `usualGlobalAccess` is for the instruction.
inline bool isPlainGlobal(const MemoryForm &form) {
  return (form.space == ptx::Space::Global || form.space == ptx::Space::Const) &&
         form.order == Order::Weak && !form.isVolatile && !form.isAddress32 && form.elements == 1;
}

/// As usualAccess, where it is known from the text what there is to look at: each lane
/// accesses a T in global memory.
template <AccessKind kind, class T>
[[gnu::always_inline]] inline uint8_t *usualGlobalAccess(Warp &warp, const Instruction &instruction,
                                                         LaneMask lanes) {
  if (lanes != kAllLanes || !warp.block.races) [[unlikely]]
    return nullptr;
  const auto *bases = warp.lanes<uint64_t>(instruction.operands[0]);
  if (!areInOrder(bases, sizeof(T)))
    return nullptr;
  uint64_t address = bases[0] + static_cast<uint64_t>(instruction.immediate);
  return usualGlobal<kind>(warp, instruction, address, sizeof(T));
}

/// Whether it is a weak access by all lanes to global memory, or to what may be that.
inline bool isWeakGlobal(const Warp &warp, const MemoryForm &form, LaneMask lanes) {
  bool isGlobal = form.space == ptx::Space::Global || form.space == ptx::Space::Generic ||
                  form.space == ptx::Space::Const;
  return lanes == kAllLanes && warp.block.races && form.order == Order::Weak && !form.isVolatile &&
         isGlobal && !form.isAddress32;
}

/// The sums of bases and offset are addresses of `each` bytes, aligned to them, in what is
/// known to be written of the region: false if not. Calls visit(lane, sums) for lanes by
/// eight.
template <class Visit>
[[gnu::always_inline]] inline bool addressesInside(const uint64_t *bases, uint64_t offset,
                                                   const GlobalRegion &region, uint32_t each,
                                                   uint64_t *addresses, Visit visit) {
  if (region.writtenEnd - region.begin < each)
    return false;
  uint64_t begin = region.begin, last = region.writtenEnd - each - begin;
  Words8 outside{}, any{};
#pragma clang loop unroll(full)
  for (int lane = 0; lane < kWarpSize; lane += 8) {
    Words8 sums;
    sumsOf(bases + lane, offset, sums);
    std::memcpy(addresses + lane, &sums, sizeof sums);
    Words8 from = sums - begin;
    outside |= from | (last - from); // the highest bit says so
    any |= sums;
    visit(lane, sums);
  }
  uint64_t isOutside = 0, all = 0;
  for (int lane = 0; lane < 8; ++lane)
    isOutside |= outside[lane], all |= any[lane];
  return !(isOutside >> 63 || all & (each - 1));
}

/// A weak load by all lanes from anywhere in one allocation, which is written, and not
/// since the block's start: logs it and gives the addresses, those of operand `number`.
/// False if there is more to look at.
[[gnu::noinline]] inline bool usualLoadApart(Warp &warp, const Instruction &instruction,
                                             size_t number, LaneMask lanes, uint64_t *addresses) {
  const MemoryForm &form = instruction.memory;
  if (!isWeakGlobal(warp, form, lanes))
    return false;
  const auto *bases = warp.lanes<uint64_t>(instruction.operands[number]);
  auto offset = static_cast<uint64_t>(instruction.immediate);
  uint64_t first = bases[0] + offset;
  if (first & kWindowMask)
    return false;
  GlobalRaces &races = warp.block.races->global;
  GlobalRaces::Context context = contextOf(warp, instruction);
  GlobalRegion &region = regionOf(warp, instruction, first);
  uint32_t each = form.bytes();
  if (!races.canLog(region, each, context.clocks))
    return false;
  races.lookForWritten(region);
  uint64_t base = region.base();
  int log = std::countr_zero(each);
  uint32_t *places = races.placesToLog(region);
  Words8 differences{};
  bool areInside =
      addressesInside(bases, offset, region, each, addresses,
                      [&](int lane, const Words8 &sums) __attribute__((always_inline)) {
                        differences |= sums ^ first;
                        Narrow8 some = __builtin_convertvector((sums - base) >> log, Narrow8);
                        std::memcpy(places + lane, &some, sizeof some);
                      });
  if (!areInside)
    return false;
  uint64_t isApart = 0;
  for (int lane = 0; lane < 8; ++lane)
    isApart |= differences[lane];
  races.logLoad(region, each, kAllLanes, isApart ? kAllLanes : 0, context);
  return true;
}

/// A weak store by all lanes to anywhere in one allocation, of which all is written: gives
/// the addresses, those of operand 0, and checks them in runs of lanes. False if there is
/// more to look at.
[[gnu::noinline]] inline bool usualStoreApart(Warp &warp, const Instruction &instruction,
                                              LaneMask lanes, uint64_t *addresses) {
  const MemoryForm &form = instruction.memory;
  if (!isWeakGlobal(warp, form, lanes))
    return false;
  const auto *bases = warp.lanes<uint64_t>(instruction.operands[0]);
  auto offset = static_cast<uint64_t>(instruction.immediate);
  GlobalRegion &region = regionOf(warp, instruction, bases[0] + offset);
  uint32_t each = form.bytes();
  warp.block.races->global.lookForWritten(region);
  if (region.isReadOnly ||
      !addressesInside(bases, offset, region, each, addresses, [](int, const Words8 &) {}))
    return false;
  LaneMask goOn =
      maskOf([=](int lane) { return addresses[lane] - addresses[std::max(lane - 1, 0)] == each; });
  return warp.block.races->global.storeRuns(region, addresses, ~goOn, each,
                                            contextOf(warp, instruction));
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
