#pragma once
// Virtual memory management: ranges of addresses that programs reserve, and physical
// memory that they show there.

#include "driver/cuda_types.h"
#include "memory/MappedMemory.h"

#include <vector>

namespace vgpu {

class Device;

/// What cuMemCreate makes. It lives as long as it has handles or is mapped.
struct PhysicalMemory {
  Device &device;
  std::shared_ptr<const PageFile> file;
  bool isShareable = false; ///< it may be exported
  bool isMapped = false;    ///< or has been
  unsigned handles = 1;
  unsigned mappings = 0;
};

/// The reservations of one device.
class VirtualMemory {
public:
  /// Sizes and addresses are multiples of it.
  static constexpr uint64_t kGranularity = uint64_t{2} << 20;

  struct Mapping {
    uint64_t end = 0;
    PhysicalMemory *memory = nullptr;
    CUmemAccess_flags access = CU_MEM_ACCESS_FLAGS_PROT_NONE;
  };

  VirtualMemory(DeviceMemory &memory, MappedMemory &mapped) : memory(memory), mapped(mapped) {}

  CUresult reserve(CUdeviceptr &address, uint64_t bytes, uint64_t alignment, uint64_t wanted);
  CUresult free(uint64_t address, uint64_t bytes);
  CUresult map(uint64_t address, uint64_t bytes, PhysicalMemory &physical);
  /// Of whole mappings. `unused` is the memory that is no longer mapped there.
  CUresult unmap(uint64_t address, uint64_t bytes, std::vector<PhysicalMemory *> &unused);
  CUresult setAccess(uint64_t address, uint64_t bytes, CUmemAccess_flags access);
  /// Memory that several addresses or processes show is not followed: it counts as written.
  void noteSharing(const PhysicalMemory &physical);
  /// The mapping that holds an address, or null.
  const Mapping *find(uint64_t address) const;

private:
  struct Reservation {
    uint64_t end = 0;
    std::map<uint64_t, Mapping> mappings;
    std::vector<uint64_t> visible; ///< where what the device may access begins
  };

  Reservation *reservationOf(uint64_t address, uint64_t bytes);
  static bool isMapped(const Reservation &reservation, uint64_t begin, uint64_t end);
  void publish(Reservation &reservation);

  DeviceMemory &memory;
  MappedMemory &mapped;
  std::map<uint64_t, Reservation> reservations;
};

} // namespace vgpu
