#include "memory/DeviceMemory.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <sys/mman.h>

namespace vgpu {
namespace {

constexpr uint64_t kFirstAddress = 0x2000'0000'0000;
constexpr uint64_t kDeviceStride = uint64_t{1} << 40;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kGap = 256;

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

void *reserve(uint64_t address, uint64_t bytes, int flags = MAP_FIXED_NOREPLACE) {
  void *memory = mmap(reinterpret_cast<void *>(address), bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
  if (memory == MAP_FAILED)
    throw std::bad_alloc();
  madvise(memory, bytes, MADV_DONTDUMP);
  return memory;
}

/// Gives the whole pages of a range back to the system.
void discard(uint64_t begin, uint64_t end) {
  begin = roundUp(begin, kPage);
  end = end / kPage * kPage;
  if (begin >= end)
    return;
  madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
  madvise(reinterpret_cast<void *>(begin), end - begin, MADV_REMOVE); // if it is in a file
}

} // namespace

DeviceMemory::DeviceMemory(int ordinal, uint64_t capacity) : totalBytes(capacity) {
  base = kFirstAddress + ordinal * kDeviceStride;
  reserve(base, kArenaBytes);
  shadowBase = static_cast<uint8_t *>(reserve(base + kArenaBytes, kArenaBytes / 8));
  next = base + kGap;
}

DeviceMemory::~DeviceMemory() {
  munmap(reinterpret_cast<void *>(base), kArenaBytes);
  munmap(shadowBase, kArenaBytes / 8);
}

uint64_t DeviceMemory::allocate(uint64_t bytes, MemoryKind kind, uint64_t alignment) {
  std::lock_guard lock(mutex);
  bool counts = kind != MemoryKind::PinnedHost;
  if (bytes == 0 || bytes > kAllocatableBytes || (counts && usedBytes + bytes > totalBytes))
    return 0;
  alignment = std::max<uint64_t>(alignment, 256);
  uint64_t begin = roundUp(next, alignment), end = begin + bytes;
  if (end + kGap <= reservableBegin()) {
    // The host writes what is pinned at any time: its pages hold nothing that moves.
    next = kind == MemoryKind::PinnedHost ? roundUp(end + kGap, kPage) : end + kGap;
  } else {
    begin = findGap(bytes, alignment);
    if (!begin)
      return 0;
    end = begin + bytes;
    std::memset(shadow(begin), 0, (bytes + 7) / 8);
    noteErasure();
  }
  usedBytes += counts ? bytes : 0;
  byAddress[begin] = {begin, end, kind, false};
  ++changes;
  return begin;
}

uint64_t DeviceMemory::findGap(uint64_t bytes, uint64_t alignment) const {
  uint64_t begin = roundUp(base + kGap, alignment);
  for (auto after = byAddress.lower_bound(base);; ++after) {
    bool isLast = after == byAddress.end() || after->first >= reservableBegin();
    uint64_t limit = isLast ? reservableBegin() : after->first;
    if (begin + bytes + kGap <= limit)
      return begin;
    if (isLast)
      return 0;
    begin = roundUp(after->second.end + kGap, alignment);
  }
}

uint64_t DeviceMemory::allocateHeap(uint64_t bytes, uint64_t limit) {
  {
    std::lock_guard lock(mutex);
    if (bytes > limit || heapBytes + bytes > limit)
      return 0;
    heapBytes += bytes;
  }
  return allocate(bytes, MemoryKind::Heap);
}

bool DeviceMemory::release(uint64_t address) {
  std::lock_guard lock(mutex);
  auto entry = byAddress.find(address);
  if (entry == byAddress.end() || entry->second.kind == MemoryKind::RegisteredHost ||
      entry->second.kind == MemoryKind::Mapped)
    return false;
  const Allocation &allocation = entry->second;
  if (allocation.kind == MemoryKind::Heap)
    heapBytes -= allocation.end - allocation.begin;
  if (allocation.kind != MemoryKind::PinnedHost)
    usedBytes -= allocation.end - allocation.begin;
  discard(allocation.begin, allocation.end);
  byAddress.erase(entry);
  ++changes;
  return true;
}

bool DeviceMemory::registerHost(uint64_t address, uint64_t bytes) {
  std::lock_guard lock(mutex);
  auto after = byAddress.lower_bound(address);
  if (after != byAddress.end() && after->second.begin < address + bytes)
    return false;
  if (after != byAddress.begin() && std::prev(after)->second.end > address)
    return false;
  byAddress[address] = {address, address + bytes, MemoryKind::RegisteredHost, false};
  ++changes;
  return true;
}

bool DeviceMemory::unregisterHost(uint64_t address) {
  std::lock_guard lock(mutex);
  auto entry = byAddress.find(address);
  if (entry == byAddress.end() || entry->second.kind != MemoryKind::RegisteredHost)
    return false;
  byAddress.erase(entry);
  ++changes;
  return true;
}

void DeviceMemory::allowMapped(uint64_t begin, uint64_t end, bool isReadOnly) {
  std::lock_guard lock(mutex);
  byAddress[begin] = {begin, end, MemoryKind::Mapped, isReadOnly};
  ++changes;
}

void DeviceMemory::forbidMapped(uint64_t begin) {
  std::lock_guard lock(mutex);
  byAddress.erase(begin);
  ++changes;
}

bool DeviceMemory::take(uint64_t bytes) {
  std::lock_guard lock(mutex);
  if (bytes > totalBytes - usedBytes)
    return false;
  usedBytes += bytes;
  return true;
}

void DeviceMemory::give(uint64_t bytes) {
  std::lock_guard lock(mutex);
  usedBytes -= bytes;
}

void DeviceMemory::mapAnonymous(uint64_t address, uint64_t bytes) {
  reserve(address, bytes, MAP_FIXED);
}

void DeviceMemory::setReadOnly(uint64_t address) {
  std::lock_guard lock(mutex);
  byAddress.at(address).isReadOnly = true;
  ++changes;
}

std::optional<Allocation> DeviceMemory::find(uint64_t address) const {
  std::optional<Allocation> candidate = before(address);
  if (candidate && address < candidate->end)
    return candidate;
  return std::nullopt;
}

std::optional<Allocation> DeviceMemory::before(uint64_t address) const {
  std::lock_guard lock(mutex);
  auto after = byAddress.upper_bound(address);
  if (after == byAddress.begin())
    return std::nullopt;
  return std::prev(after)->second;
}

std::vector<Allocation> DeviceMemory::allocations() const {
  std::lock_guard lock(mutex);
  std::vector<Allocation> all;
  all.reserve(byAddress.size());
  for (const auto &[address, allocation] : byAddress)
    all.push_back(allocation);
  return all;
}

void DeviceMemory::markInitialized(uint64_t address, uint64_t bytes) {
  if (!isTracked(address))
    return;
  uint64_t end = address + bytes;
  for (; address < end && address % 8; ++address)
    *shadow(address) |= 1 << address % 8;
  if (address >= end)
    return;
  std::memset(shadow(address), 0xff, (end - address) / 8);
  for (address = end / 8 * 8; address < end; ++address)
    *shadow(address) |= 1 << address % 8;
}

void DeviceMemory::clearInitialized(uint64_t address, uint64_t bytes) {
  noteErasure();
  auto begin = reinterpret_cast<uint64_t>(shadow(address)), end = begin + bytes / 8;
  uint64_t firstPage = std::min(roundUp(begin, kPage), end);
  uint64_t lastPage = std::max(end / kPage * kPage, firstPage);
  std::memset(reinterpret_cast<void *>(begin), 0, firstPage - begin);
  discard(firstPage, lastPage);
  std::memset(reinterpret_cast<void *>(lastPage), 0, end - lastPage);
}

std::optional<uint64_t> DeviceMemory::firstUninitialized(uint64_t address, uint64_t bytes) const {
  if (!isTracked(address))
    return std::nullopt;
  for (uint64_t end = address + bytes, eight; address < end;) {
    if (address % 64 == 0 && end - address >= 64 &&
        (std::memcpy(&eight, shadow(address), 8), eight == ~uint64_t{0}))
      address += 64;
    else if (address % 8 == 0 && end - address >= 8 && *shadow(address) == 0xff)
      address += 8;
    else if (isInitialized(address))
      ++address;
    else
      return address;
  }
  return std::nullopt;
}

void DeviceMemory::copyInitialized(uint64_t to, uint64_t from, uint64_t bytes) {
  if (!isTracked(to))
    return;
  if (!inArena(from))
    return markInitialized(to, bytes);
  if (firstUninitialized(from, bytes))
    noteErasure();
  if (to % 8 == 0 && from % 8 == 0 && bytes % 8 == 0) {
    std::memmove(shadow(to), shadow(from), bytes / 8);
    return;
  }
  for (uint64_t index = 0; index < bytes; ++index) {
    uint8_t bit = 1 << (to + index) % 8;
    if (isInitialized(from + index))
      *shadow(to + index) |= bit;
    else
      *shadow(to + index) &= ~bit;
  }
}

} // namespace vgpu
