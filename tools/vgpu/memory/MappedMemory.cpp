#include "memory/MappedMemory.h"

#include <algorithm>
#include <new>
#include <sys/mman.h>

namespace vgpu {
namespace {

constexpr uint64_t kPage = PageFile::kPage;

uint64_t pageBegin(uint64_t address) { return address / kPage * kPage; }
uint64_t pageEnd(uint64_t address) { return pageBegin(address + kPage - 1); }

} // namespace

MappedMemory::MappedMemory(DeviceMemory &memory)
    : memory(memory), reserved({memory.reservableBegin(), memory.arenaEnd()}) {}

uint64_t MappedMemory::reserve(uint64_t bytes, uint64_t alignment, uint64_t wanted) {
  bytes = pageEnd(bytes);
  alignment = std::max(alignment, kPage);
  if (wanted && wanted % alignment == 0 && reserved.takeAt(wanted, bytes))
    return wanted;
  return reserved.take(bytes, alignment);
}

void MappedMemory::map(uint64_t address, uint64_t bytes, std::shared_ptr<const PageFile> file,
                       uint64_t offset) {
  file->map(address, bytes, offset);
  mappings[address] = {bytes, std::move(file), offset};
}

void MappedMemory::unmap(uint64_t address) {
  auto mapping = mappings.find(address);
  DeviceMemory::mapAnonymous(address, mapping->second.bytes);
  mappings.erase(mapping);
}

void MappedMemory::moveToFile(uint64_t begin, uint64_t end) {
  shared->write(reinterpret_cast<const void *>(begin), end - begin, offsetOf(begin));
  map(begin, end - begin, shared, offsetOf(begin));
}

const PageFile &MappedMemory::share(const Allocation &allocation) {
  if (!shared)
    shared = std::make_shared<PageFile>("vgpu memory", memory.arenaEnd() - memory.arenaBegin());
  const uint64_t end = pageEnd(allocation.end);
  // Others may be there already, of neighbours.
  for (uint64_t next = pageBegin(allocation.begin); next < end;) {
    auto after = mappings.upper_bound(next);
    if (after != mappings.begin())
      if (const auto &[begin, mapping] = *std::prev(after); begin + mapping.bytes > next) {
        next = begin + mapping.bytes;
        continue;
      }
    uint64_t stop = after == mappings.end() ? end : std::min(end, after->first);
    moveToFile(next, stop);
    next = stop;
  }
  return *shared;
}

void MappedMemory::detach() const {
  for (const auto &[address, mapping] : mappings)
    mapping.file->mapPrivately(address, mapping.bytes, mapping.offset);
}

} // namespace vgpu
