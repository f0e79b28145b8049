#include "driver/VirtualMemory.h"

#include <algorithm>

namespace vgpu {

CUresult VirtualMemory::reserve(CUdeviceptr &address, uint64_t bytes, uint64_t alignment,
                                uint64_t wanted) {
  if (bytes == 0 || bytes % kGranularity || (alignment & (alignment - 1)))
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t begin = mapped.reserve(bytes, std::max(alignment, kGranularity), wanted);
  if (!begin)
    return CUDA_ERROR_OUT_OF_MEMORY;
  reservations[begin].end = begin + bytes;
  address = begin;
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::free(uint64_t address, uint64_t bytes) {
  auto found = reservations.find(address);
  if (found == reservations.end() || found->second.end != address + bytes ||
      !found->second.mappings.empty())
    return CUDA_ERROR_INVALID_VALUE;
  reservations.erase(found);
  mapped.unreserve(address);
  return CUDA_SUCCESS;
}

VirtualMemory::Reservation *VirtualMemory::reservationOf(uint64_t address, uint64_t bytes) {
  auto after = reservations.upper_bound(address);
  if (after == reservations.begin())
    return nullptr;
  Reservation &reservation = std::prev(after)->second;
  bool isInside = address < reservation.end && bytes <= reservation.end - address;
  return isInside && bytes ? &reservation : nullptr;
}

/// Whether whole mappings, one after the other, are the range.
bool VirtualMemory::isMapped(const Reservation &reservation, uint64_t begin, uint64_t end) {
  auto next = reservation.mappings.find(begin);
  while (begin < end) {
    if (next == reservation.mappings.end() || next->first != begin)
      return false;
    begin = next->second.end;
    ++next;
  }
  return begin == end;
}

void VirtualMemory::noteSharing(const PhysicalMemory &physical) {
  for (const auto &[start, reservation] : reservations)
    for (const auto &[begin, mapping] : reservation.mappings)
      if (mapping.memory == &physical)
        memory.markInitialized(begin, mapping.end - begin);
}

CUresult VirtualMemory::map(uint64_t address, uint64_t bytes, PhysicalMemory &physical) {
  Reservation *reservation = reservationOf(address, bytes);
  if (!reservation || address % kGranularity || bytes % kGranularity ||
      bytes > physical.file->bytes())
    return CUDA_ERROR_INVALID_VALUE;
  auto after = reservation->mappings.lower_bound(address);
  bool isTaken = after != reservation->mappings.end() && after->first < address + bytes;
  if (after != reservation->mappings.begin())
    isTaken |= std::prev(after)->second.end > address;
  if (isTaken)
    return CUDA_ERROR_INVALID_VALUE;
  mapped.map(address, bytes, physical.file, 0);
  reservation->mappings[address] = {address + bytes, &physical, CU_MEM_ACCESS_FLAGS_PROT_NONE};
  ++physical.mappings;
  if (physical.isMapped)
    noteSharing(physical);
  physical.isMapped = true;
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::unmap(uint64_t address, uint64_t bytes,
                              std::vector<PhysicalMemory *> &unused) {
  Reservation *reservation = reservationOf(address, bytes);
  if (!reservation || !isMapped(*reservation, address, address + bytes))
    return CUDA_ERROR_INVALID_VALUE;
  auto first = reservation->mappings.find(address), last = first;
  for (; last != reservation->mappings.end() && last->first < address + bytes; ++last) {
    mapped.unmap(last->first);
    unused.push_back(last->second.memory);
    --last->second.memory->mappings;
  }
  reservation->mappings.erase(first, last);
  publish(*reservation);
  memory.clearInitialized(address, bytes);
  return CUDA_SUCCESS;
}

CUresult VirtualMemory::setAccess(uint64_t address, uint64_t bytes, CUmemAccess_flags access) {
  Reservation *reservation = reservationOf(address, bytes);
  if (!reservation || !isMapped(*reservation, address, address + bytes))
    return CUDA_ERROR_INVALID_VALUE;
  for (auto next = reservation->mappings.find(address);
       next != reservation->mappings.end() && next->first < address + bytes; ++next)
    next->second.access = access;
  publish(*reservation);
  return CUDA_SUCCESS;
}

/// What lies side by side, and may be accessed alike, is one allocation for the device.
void VirtualMemory::publish(Reservation &reservation) {
  for (uint64_t begin : reservation.visible)
    memory.forbidMapped(begin);
  reservation.visible.clear();
  for (auto next = reservation.mappings.begin(); next != reservation.mappings.end();) {
    uint64_t begin = next->first, end = begin;
    CUmemAccess_flags access = next->second.access;
    for (;
         next != reservation.mappings.end() && next->first == end && next->second.access == access;
         ++next)
      end = next->second.end;
    if (access == CU_MEM_ACCESS_FLAGS_PROT_NONE)
      continue;
    memory.allowMapped(begin, end, access == CU_MEM_ACCESS_FLAGS_PROT_READ);
    reservation.visible.push_back(begin);
  }
}

const VirtualMemory::Mapping *VirtualMemory::find(uint64_t address) const {
  auto after = reservations.upper_bound(address);
  if (after == reservations.begin())
    return nullptr;
  const auto &mappings = std::prev(after)->second.mappings;
  auto next = mappings.upper_bound(address);
  if (next == mappings.begin() || std::prev(next)->second.end <= address)
    return nullptr;
  return &std::prev(next)->second;
}

} // namespace vgpu
