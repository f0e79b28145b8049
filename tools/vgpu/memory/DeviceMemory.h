#pragma once
// The memory of one device: allocations at fixed virtual addresses, which are
// the host's addresses too, with a shadow that knows what has been written.

#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace vgpu {

enum class MemoryKind : uint8_t {
  Device,
  PinnedHost,     ///< cuMemHostAlloc: in the arena, so device and host see it alike
  RegisteredHost, ///< cuMemHostRegister: anywhere, and always initialised
  Module,         ///< a module's variables
  Heap,           ///< malloc in a kernel
  Mapped,         ///< of a file: see MappedMemory
};

struct Allocation {
  uint64_t begin = 0, end = 0;
  MemoryKind kind = MemoryKind::Device;
  bool isReadOnly = false; ///< .const

  bool contains(uint64_t address, uint64_t bytes) const {
    return address >= begin && address <= end && bytes <= end - address;
  }
};

class DeviceMemory {
public:
  /// Reserves the address space of device `ordinal`; throws std::bad_alloc.
  DeviceMemory(int ordinal, uint64_t capacity);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory &) = delete;

  /// Addresses are multiples of 256, with a gap after each allocation, and are
  /// not used again until the address space is exhausted: a use after free is
  /// seen. Returns 0 when the capacity is exceeded.
  uint64_t allocate(uint64_t bytes, MemoryKind kind, uint64_t alignment = 256);
  /// malloc in a kernel: 0 if the heap would exceed `limit`.
  uint64_t allocateHeap(uint64_t bytes, uint64_t limit);
  bool release(uint64_t address);
  /// Makes the host's memory visible to the device under its own address.
  bool registerHost(uint64_t address, uint64_t bytes);
  bool unregisterHost(uint64_t address);
  /// Makes accessible what has been mapped into the arena, and takes that back.
  void allowMapped(uint64_t begin, uint64_t end, bool isReadOnly);
  void forbidMapped(uint64_t begin);
  void setReadOnly(uint64_t address);

  /// The allocation that holds `address`, if one does.
  std::optional<Allocation> find(uint64_t address) const;
  /// The allocation that ends closest before `address`: for messages.
  std::optional<Allocation> before(uint64_t address) const;
  std::vector<Allocation> allocations() const;

  uint64_t capacity() const { return totalBytes; }
  uint64_t used() const { return usedBytes; }
  /// Room for what is mapped; false where the capacity is exceeded.
  bool take(uint64_t bytes);
  void give(uint64_t bytes);
  /// Changes whenever an allocation comes or goes, and with `erasures`.
  uint64_t generation() const { return changes.load(std::memory_order_acquire); }
  /// Changes whenever bytes that were written may be so no more.
  uint64_t erasures() const { return erased.load(std::memory_order_acquire); }

  bool inArena(uint64_t address) const { return address - base < kArenaBytes; }
  uint64_t arenaBegin() const { return base; }
  uint64_t arenaEnd() const { return base + kArenaBytes; }
  /// No allocation is made from here on.
  uint64_t reservableBegin() const { return base + kAllocatableBytes; }
  /// Memory of its own takes the place of what is mapped at the address.
  static void mapAnonymous(uint64_t address, uint64_t bytes);
  /// Whether it is known what of the memory at the address has been written.
  bool isTracked(uint64_t address) const { return inArena(address) && !assumesInitialized; }
  /// From now on, all memory counts as written.
  void assumeInitialized() { assumesInitialized = true; }
  /// One bit for each byte, set when it was written. Only for arena addresses;
  /// a 4-byte-aligned word is half a byte of it.
  uint8_t *shadow(uint64_t address) const { return shadowBase + (address - base) / 8; }
  void markInitialized(uint64_t address, uint64_t bytes);
  /// Nobody has written it. Multiples of 8.
  void clearInitialized(uint64_t address, uint64_t bytes);
  /// Whether all of some bytes have been written.
  bool areInitialized(uint64_t address, uint32_t bytes) const {
    const uint8_t *marks = shadow(address);
    uint32_t skew = address % 8;
    auto haveAll = [](const uint8_t *marks, uint64_t wanted) {
      uint64_t eight;
      std::memcpy(&eight, marks, 8);
      return (eight & wanted) == wanted;
    };
    for (uint32_t most = skew ? 56 : 64; bytes > most; bytes -= most, marks += most / 8)
      if (!haveAll(marks, ~uint64_t{0} >> (64 - most) << skew))
        return false;
    return haveAll(marks, ~uint64_t{0} >> (64 - bytes) << skew);
  }
  /// The first byte of the range that was never written.
  std::optional<uint64_t> firstUninitialized(uint64_t address, uint64_t bytes) const;
  /// The shadow follows a copy from device to device.
  void copyInitialized(uint64_t to, uint64_t from, uint64_t bytes);

private:
  static constexpr uint64_t kArenaBytes = uint64_t{1} << 39, kAllocatableBytes = kArenaBytes / 2;

  /// Room for `bytes` that freed allocations have left, or 0.
  uint64_t findGap(uint64_t bytes, uint64_t alignment) const;
  bool isInitialized(uint64_t address) const { return *shadow(address) >> (address % 8) & 1; }
  void noteErasure() {
    ++erased;
    ++changes;
  }

  bool assumesInitialized = false;
  uint64_t base = 0;
  uint8_t *shadowBase = nullptr;
  uint64_t totalBytes;
  uint64_t usedBytes = 0, heapBytes = 0;
  uint64_t next = 0; ///< where no allocation has been yet
  mutable std::mutex mutex;
  std::map<uint64_t, Allocation> byAddress;
  std::atomic<uint64_t> changes{1}, erased{0};
};

} // namespace vgpu
