#pragma once
// From an instruction's addresses to the bytes they mean, checked.

#include "exec/Asynchrony.h"
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

inline bool isContiguous(const uint64_t *addresses, LaneMask lanes, uint32_t bytes) {
  if (lanes != kAllLanes)
    return false;
  const uint64_t *steps = kSteps.of[std::countr_zero(bytes)];
  uint64_t differences = 0, first = addresses[0];
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane)
    differences |= addresses[lane] - first - steps[lane];
  return differences == 0;
}

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

/// Returns whether the addresses are contiguous.
template <class Base>
inline bool setAddresses(const Base *base, uint64_t offset, uint32_t bytes, uint64_t *addresses) {
  const uint64_t *steps = kSteps.of[std::countr_zero(bytes)];
  Words8 differences{}, sums, step;
  uint64_t first = Base(base[0] + offset);
#pragma clang loop unroll(full)
  for (int lane = 0; lane < kWarpSize; lane += 8) {
    sumsOf(base + lane, offset, sums);
    std::memcpy(addresses + lane, &sums, sizeof sums);
    std::memcpy(&step, steps + lane, sizeof step);
    differences |= sums - first ^ step;
  }
  uint64_t all = 0;
  for (int lane = 0; lane < 8; ++lane)
    all |= differences[lane];
  return all == 0;
}

inline void computeAddresses(const Warp &warp, const Instruction &instruction, size_t operand,
                             LaneMask lanes, Accessed &accessed) {
  auto offset = static_cast<uint64_t>(instruction.immediate);
  uint32_t bytes = instruction.memory.bytes();
  uint64_t *addresses = accessed.addresses;
  accessed.isContiguous = instruction.memory.isAddress32
                              ? setAddresses(warp.lanes<uint32_t>(instruction.operands[operand]),
                                             offset, bytes, addresses)
                              : setAddresses(warp.lanes<uint64_t>(instruction.operands[operand]),
                                             offset, bytes, addresses);
  if (lanes != kAllLanes) {
    accessed.isContiguous = false;
    uint64_t first = addresses[std::countr_zero(lanes)];
    VGPU_LANES
    for (int lane = 0; lane < kWarpSize; ++lane)
      addresses[lane] = lanes >> lane & 1 ? addresses[lane] : first;
  }
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

/// Finds neighbours with one address, also in patterns that repeat.
inline void groupLanes(Accessed &accessed, LaneMask lanes) {
  const uint64_t *addresses = accessed.addresses;
  int period = kWarpSize;
  while (period > 4 && isTwice(addresses, period / 2))
    period /= 2;
  LaneMask repeats = 0; // the first lane of each period
  for (int lane = 0; lane < kWarpSize; lane += period)
    repeats |= LaneMask{1} << lane;
  LaneMask begins = maskOf(
      [=](int lane) { return lane == 0 || addresses[lane] != addresses[std::max(lane - 1, 0)]; });
  if (begins == kAllLanes && period == kWarpSize)
    return;
  AddressGroups &groups = accessed.groups;
  auto end = static_cast<int>(period);
  for (LaneMask rest = begins & kAllLanes >> (kWarpSize - period); rest;) {
    int lane = std::countr_zero(rest);
    rest &= rest - 1;
    int next = rest ? std::countr_zero(rest) : end;
    LaneMask together = (kAllLanes >> (kWarpSize - (next - lane)) << lane) * repeats & lanes;
    groups.lanes[groups.count] = together;
    groups.first[groups.count] = static_cast<uint8_t>(std::countr_zero(together));
    groups.count += together != 0;
  }
}

struct Extent {
  uint64_t low, high; ///< smallest and largest address
};

/// Faults if an address is not aligned to the access.
inline Extent extentOf(const Accessed &accessed, LaneMask lanes, uint32_t bytes) {
  const uint64_t *addresses = accessed.addresses;
  if (accessed.isContiguous) {
    if (addresses[0] & (bytes - 1))
      faultMisaligned(lanes, addresses, bytes);
    return {addresses[0], addresses[kWarpSize - 1]};
  }
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
    observer->access({kind, space, form.order, form.scope, form.isVolatile, form.bytes(), lanes,
                      accessed.addresses, instruction, warp, accessed.isContiguous,
                      accessed.groupsIfAny()});
  }
}

/// The bits of the shadow byte that belong to `bytes` at `address`; 8 or fewer.
inline uint8_t shadowMask(uint64_t address, uint32_t bytes) {
  return static_cast<uint8_t>(((1u << bytes) - 1) << address % 8);
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

inline void checkInitialized(Warp &warp, const Accessed &accessed, LaneMask lanes, uint32_t bytes) {
  const DeviceMemory &memory = warp.block.machine.memory;
  if (accessed.isContiguous && accessed.addresses[0] % 8 == 0 && bytes >= 2) {
    if (isAll(memory.shadow(accessed.addresses[0]), 0xff, bytes * 4)) [[likely]]
      return;
  }
  forLanes(lanes, [&](int lane) {
    uint64_t address = accessed.addresses[lane];
    for (uint32_t part = 0; part < bytes; part += 8) {
      uint8_t mask = shadowMask(address + part, std::min(bytes, 8u));
      if ((*memory.shadow(address + part) & mask) != mask) [[unlikely]] {
        reportUninitialized(warp, ptx::Space::Global, lane, address);
        memory.shadow(address + part)[0] |= mask; // once is enough
      }
    }
  });
}

inline void markInitialized(const DeviceMemory &memory, const Accessed &accessed, LaneMask lanes,
                            uint32_t bytes) {
  if (accessed.isContiguous && accessed.addresses[0] % 8 == 0 && bytes >= 2) {
    uint8_t *shadow = memory.shadow(accessed.addresses[0]);
    if (!isAll(shadow, 0xff, bytes * 4))
      std::memset(shadow, 0xff, bytes * 4);
    return;
  }
  forLanes(lanes, [&](int lane) {
    for (uint32_t part = 0; part < bytes; part += 8) {
      uint64_t address = accessed.addresses[lane] + part;
      *memory.shadow(address) |= shadowMask(address, std::min(bytes, 8u));
    }
  });
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

inline void accessGlobal(Warp &warp, const Instruction &instruction, LaneMask lanes,
                         Accessed &accessed, AccessKind kind) {
  Block &block = warp.block;
  const DeviceMemory &memory = block.machine.memory;
  uint32_t bytes = instruction.memory.bytes();
  Extent extent = extentOf(accessed, lanes, bytes);
  Allocation &known = block.knownRanges[reinterpret_cast<uintptr_t>(&instruction) /
                                        sizeof(Instruction) % std::size(block.knownRanges)];
  if (block.knownGeneration != memory.generation()) {
    for (Allocation &range : block.knownRanges)
      range = Allocation();
    block.knownGeneration = memory.generation();
  }
  if (!accessed.isContiguous)
    groupLanes(accessed, lanes);
  bool isKnown = extent.low >= known.begin && extent.high + bytes <= known.end &&
                 (kind == AccessKind::Load || !known.isReadOnly);
  if (!isKnown)
    known = checkEachGlobal(warp, instruction, lanes, accessed.addresses, bytes, kind);
  bool hasShadow = memory.isTracked(extent.low) && memory.isTracked(extent.high);
  if (hasShadow && kind != AccessKind::Store)
    checkInitialized(warp, accessed, lanes, bytes);
  if (hasShadow && kind != AccessKind::Load)
    markInitialized(memory, accessed, lanes, bytes);
  tellObserver(warp, instruction, lanes, accessed, ptx::Space::Global, kind);
  setBytes(accessed, 0);
}

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
  if (!accessed.isContiguous)
    groupLanes(accessed, lanes);
  Marks marks = marksOf(block, accessed, lanes, bytes);
  if (marks.hasAny(Flights::forbidden(kind))) [[unlikely]]
    block.asynchrony->flights.check(warp, kind, lanes, accessed.addresses, bytes);
  if (block.asynchrony) [[unlikely]]
    block.asynchrony->flights.remember(warp, kind, lanes, accessed.addresses, bytes,
                                       accessed.groupsIfAny());
  if (!marks.haveAll(kWritten)) [[unlikely]] {
    if (kind != AccessKind::Store)
      checkWritten(warp, accessed, lanes, bytes);
    if (kind != AccessKind::Load)
      markWritten(block, accessed, lanes, bytes);
  }
  tellObserver(warp, instruction, lanes, accessed, ptx::Space::Shared, kind);
  setBytes(accessed, reinterpret_cast<uintptr_t>(block.sharedBytes.data()));
}

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
  accessed.isContiguous = false;
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

inline void accessParameters(Warp &warp, const Instruction &instruction, LaneMask lanes,
                             Accessed &accessed) {
  const std::vector<uint8_t> &parameters = warp.block.launch.parameters;
  uint32_t bytes = instruction.memory.bytes();
  accessed.isContiguous = false;
  forLanes(lanes, [&](int lane) {
    uint64_t address = accessed.addresses[lane] & ~kWindowMask;
    if (address > parameters.size() || bytes > parameters.size() - address)
      faultParameter(warp, lane, address, bytes);
    accessed.bytes[lane] = const_cast<uint8_t *>(parameters.data()) + address; // only loads
  });
}

/// Generic addresses: each lane may mean another space.
inline void accessGeneric(Warp &warp, const Instruction &instruction, LaneMask lanes,
                          Accessed &accessed, AccessKind kind) {
  LaneMask inWindow[5] = {};
  for (int lane = 0; lane < kWarpSize; ++lane) {
    uint64_t window = accessed.addresses[lane] >> 56;
    if (lanes >> lane & 1)
      inWindow[std::min<uint64_t>(window, 4)] |= LaneMask{1} << lane;
  }
  if (inWindow[0] == lanes)
    return accessGlobal(warp, instruction, lanes, accessed, kind);
  accessed.isContiguous = false;
  for (int window = 0; window < 5; ++window) {
    LaneMask some = inWindow[window];
    if (!some)
      continue;
    Accessed part;
    uint64_t first = accessed.addresses[std::countr_zero(some)] & ~kWindowMask;
    for (int lane = 0; lane < kWarpSize; ++lane)
      part.addresses[lane] = some >> lane & 1 ? accessed.addresses[lane] & ~kWindowMask : first;
    part.isContiguous = isContiguous(part.addresses, some, instruction.memory.bytes());
    if (window == 0)
      accessGlobal(warp, instruction, some, part, kind);
    else if (window == 1)
      accessShared(warp, instruction, some, part, kind);
    else if (window == 2)
      accessLocal(warp, instruction, some, part, kind);
    else if (window == 3 && kind == AccessKind::Load)
      accessParameters(warp, instruction, some, part);
    else
      checkEachGlobal(warp, instruction, some, accessed.addresses, instruction.memory.bytes(),
                      kind);
    accessed.local |= part.local;
    forLanes(some, [&](int lane) {
      accessed.addresses[lane] = part.addresses[lane];
      accessed.bytes[lane] = part.of(lane);
      if (window == 2) {
        std::memcpy(accessed.bounce[lane], part.bounce[lane], sizeof part.bounce[lane]);
        accessed.bytes[lane] = accessed.bounce[lane];
      }
    });
  }
}

/// Resolves and checks the addresses that `accessed` has.
inline void accessAddresses(Warp &warp, const Instruction &instruction, LaneMask lanes,
                            AccessKind kind, Accessed &accessed) {
  switch (instruction.memory.space) {
  case ptx::Space::Global:
  case ptx::Space::Const:
    return accessGlobal(warp, instruction, lanes, accessed, kind);
  case ptx::Space::Shared:
    for (uint64_t &address : accessed.addresses)
      address &= ~kWindowMask;
    return accessShared(warp, instruction, lanes, accessed, kind);
  case ptx::Space::Local:
    for (uint64_t &address : accessed.addresses)
      address &= ~kWindowMask;
    return accessLocal(warp, instruction, lanes, accessed, kind);
  case ptx::Space::Param:
    return accessParameters(warp, instruction, lanes, accessed);
  case ptx::Space::Generic:
    return accessGeneric(warp, instruction, lanes, accessed, kind);
  }
}

/// The addresses are those of `operand`, plus the offset.
inline void access(Warp &warp, const Instruction &instruction, size_t operand, LaneMask lanes,
                   AccessKind kind, Accessed &accessed) {
  computeAddresses(warp, instruction, operand, lanes, accessed);
  accessAddresses(warp, instruction, lanes, kind, accessed);
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
