#pragma once
// The addresses of an access, lane by lane: how they lie, and what all kinds of
// memory do with them.

#include "exec/MemoryChecks.h"
#include "exec/ops/Lanes.h"

#include <algorithm>

namespace vgpu::VGPU_VARIANT {
namespace {

struct Accessed {
  uint64_t addresses[kWarpSize]; ///< without windows; an inactive lane repeats an active one
  uint8_t *bytes[kWarpSize];     ///< only of the first lane where the access is contiguous
  /// All lanes are active and touch one range, in order.
  bool isContiguous = false;
  LaneMask runs = 0;    ///< see LaneAccess
  AddressGroups groups; ///< none where all lanes have addresses of their own
  /// Local memory of a lane is no range: it is copied here, and back by `finish`.
  LaneMask local = 0;
  alignas(32) uint8_t bounce[kWarpSize][32];

  const AddressGroups *groupsIfAny() const { return groups.count ? &groups : nullptr; }
  uint8_t *of(int lane) const {
    return isContiguous ? bytes[0] + (addresses[lane] - addresses[0]) : bytes[lane];
  }
};

/// 0, n, 2 n, … for accesses of n bytes, by the logarithm of n.
struct Steps {
  alignas(64) uint64_t of[6][kWarpSize];
};
constexpr Steps kSteps = [] {
  Steps steps{};
  for (int log = 0; log < 6; ++log)
    for (int lane = 0; lane < kWarpSize; ++lane)
      steps.of[log][lane] = static_cast<uint64_t>(lane) << log;
  return steps;
}();

typedef uint64_t Words8 __attribute__((vector_size(64)));
typedef uint32_t Narrow8 __attribute__((vector_size(32)));

/// The addresses of eight lanes.
inline void sumsOf(const uint64_t *base, uint64_t offset, Words8 &sums) {
  std::memcpy(&sums, base, sizeof sums);
  sums += offset;
}
inline void sumsOf(const uint32_t *base, uint64_t offset, Words8 &sums) {
  Narrow8 narrow;
  std::memcpy(&narrow, base, sizeof narrow);
  narrow += static_cast<uint32_t>(offset);
  sums = __builtin_convertvector(narrow, Words8);
}

/// Whether bases of all lanes are `bytes` apart, so that they touch one range, in order.
template <class Base> inline bool areInOrder(const Base *base, uint32_t bytes) {
  const uint64_t *steps = kSteps.of[std::countr_zero(bytes)];
  Words8 differences{}, sums, step;
  uint64_t first = base[0];
#pragma clang loop unroll(full)
  for (int lane = 0; lane < kWarpSize; lane += 8) {
    sumsOf(base + lane, 0, sums);
    std::memcpy(&step, steps + lane, sizeof step);
    differences |= sums - first ^ step;
  }
  uint64_t all = 0;
  for (int lane = 0; lane < 8; ++lane)
    all |= differences[lane];
  return all == 0;
}

template <class Base>
inline void setAddresses(const Base *base, uint64_t offset, LaneMask lanes, uint64_t *addresses) {
  Words8 sums;
#pragma clang loop unroll(full)
  for (int lane = 0; lane < kWarpSize; lane += 8) {
    sumsOf(base + lane, offset, sums);
    std::memcpy(addresses + lane, &sums, sizeof sums);
  }
  if (lanes == kAllLanes)
    return;
  uint64_t first = addresses[std::countr_zero(lanes)];
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane)
    addresses[lane] = lanes >> lane & 1 ? addresses[lane] : first;
}

inline void computeAddresses(const Warp &warp, const Instruction &instruction, size_t operand,
                             LaneMask lanes, Accessed &accessed) {
  auto offset = static_cast<uint64_t>(instruction.immediate);
  Operand base = instruction.operands[operand];
  if (instruction.memory.isAddress32)
    setAddresses(warp.lanes<uint32_t>(base), offset, lanes, accessed.addresses);
  else
    setAddresses(warp.lanes<uint64_t>(base), offset, lanes, accessed.addresses);
}

/// Whether the addresses of 2 × `half` lanes are those of the first half, twice.
inline bool isTwice(const uint64_t *addresses, int half) {
  if (addresses[0] != addresses[half] || addresses[half - 1] != addresses[2 * half - 1])
    return false;
  uint64_t differences = 0;
  VGPU_LANES
  for (int lane = 0; lane < half; ++lane)
    differences |= addresses[lane] ^ addresses[lane + half];
  return differences == 0;
}

/// Finds neighbours with one address, also in patterns that repeat. `begins` are
/// lanes whose address is not that of the lane before.
inline void groupLanes(Accessed &accessed, LaneMask lanes, LaneMask begins) {
  const uint64_t *addresses = accessed.addresses;
  int period = kWarpSize;
  while (period > 4 && isTwice(addresses, period / 2))
    period /= 2;
  if (begins == kAllLanes && period == kWarpSize)
    return;
  LaneMask repeats = 0; // the first lane of each period
  for (int lane = 0; lane < kWarpSize; lane += period)
    repeats |= LaneMask{1} << lane;
  AddressGroups &groups = accessed.groups;
  for (LaneMask rest = begins & kAllLanes >> (kWarpSize - period); rest;) {
    int lane = std::countr_zero(rest);
    rest &= rest - 1;
    int next = rest ? std::countr_zero(rest) : period;
    LaneMask together = (kAllLanes >> (kWarpSize - (next - lane)) << lane) * repeats & lanes;
    groups.lanes[groups.count] = together;
    groups.first[groups.count] = static_cast<uint8_t>(std::countr_zero(together));
    groups.count += together != 0;
  }
}

/// Finds runs of lanes, and lanes with one address.
inline void describeLanes(Accessed &accessed, LaneMask lanes, uint32_t bytes) {
  const uint64_t *addresses = accessed.addresses;
  if (lanes == kAllLanes && areInOrder(addresses, bytes)) {
    accessed.isContiguous = true;
    accessed.runs = 1;
    return;
  }
  auto stepOf = [=](int lane) { return addresses[lane] - addresses[std::max(lane - 1, 0)]; };
  LaneMask goOn = maskOf([=](int lane) { return stepOf(lane) == bytes; });
  accessed.runs = lanes & ~(goOn & lanes << 1);
  groupLanes(accessed, lanes, maskOf([=](int lane) { return stepOf(lane) != 0; }) | 1);
}

/// Whether all bytes are `value`; `count` is a multiple of 8.
inline bool isAll(const uint8_t *bytes, uint8_t value, uint32_t count) {
  uint64_t wanted = 0x0101'0101'0101'0101u * value, differences = 0, eight;
  for (uint32_t byte = 0; byte < count; byte += 8) {
    std::memcpy(&eight, bytes + byte, 8);
    differences |= eight ^ wanted;
  }
  return differences == 0;
}

struct Extent {
  uint64_t low, high; ///< smallest and largest address
};

/// Faults if an address is not aligned to the access.
inline Extent extentOf(const Accessed &accessed, LaneMask lanes, uint32_t bytes) {
  const uint64_t *addresses = accessed.addresses;
  uint64_t low = addresses[0], high = addresses[0], all = 0;
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane) {
    low = std::min(low, addresses[lane]);
    high = std::max(high, addresses[lane]);
    all |= addresses[lane];
  }
  if (all & (bytes - 1))
    faultMisaligned(lanes, addresses, bytes);
  return {low, high};
}

inline void tellObserver(Warp &warp, const Instruction &instruction, LaneMask lanes,
                         const Accessed &accessed, ptx::Space space, AccessKind kind) {
  if (Observer *observer = warp.block.machine.observer) [[unlikely]] {
    const MemoryForm &form = instruction.memory;
    observer->access({{kind, form.order, form.scope, form.isVolatile, form.bytes(), lanes,
                       accessed.addresses, accessed.runs, accessed.groupsIfAny()},
                      space,
                      instruction,
                      warp});
  }
}

/// The bytes lie where `base`, the host's address of address 0, and the addresses say.
inline void setBytes(Accessed &accessed, uintptr_t base) {
  if (accessed.isContiguous) {
    accessed.bytes[0] = reinterpret_cast<uint8_t *>(base + accessed.addresses[0]);
    return;
  }
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane)
    accessed.bytes[lane] = reinterpret_cast<uint8_t *>(base + accessed.addresses[lane]);
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
