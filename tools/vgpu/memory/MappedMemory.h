#pragma once
// Memory of a device that lies in files, so that other processes or other addresses show
// the same: what programs map themselves, what other processes export, and what they
// may import.
//
// All other memory is anonymous: of what is only read, it takes no room.

#include "memory/AddressRanges.h"
#include "memory/DeviceMemory.h"
#include "memory/PageFile.h"

#include <memory>

namespace vgpu {

class MappedMemory {
public:
  explicit MappedMemory(DeviceMemory &memory);

  /// A range of addresses, of whole pages, that nobody may access yet; at `wanted` if it
  /// is free. Returns 0 if there is none.
  uint64_t reserve(uint64_t bytes, uint64_t alignment, uint64_t wanted = 0);
  bool unreserve(uint64_t address) { return reserved.give(address); }

  /// Shows whole pages of a file in a reserved range.
  void map(uint64_t address, uint64_t bytes, std::shared_ptr<const PageFile> file, uint64_t offset);
  /// Of one mapping.
  void unmap(uint64_t address);

  /// Moves the pages of an allocation to a file, which has the layout of the arena: they
  /// stay where they are. Nobody may access them meanwhile.
  const PageFile &share(const Allocation &allocation);
  uint64_t offsetOf(uint64_t address) const { return address - memory.arenaBegin(); }

  /// In a copy of the process: what happens there is not seen by others.
  void detach() const;

private:
  struct Mapping {
    uint64_t bytes;
    std::shared_ptr<const PageFile> file;
    uint64_t offset;
  };

  void moveToFile(uint64_t begin, uint64_t end);

  DeviceMemory &memory;
  AddressRanges reserved;
  std::map<uint64_t, Mapping> mappings;
  std::shared_ptr<const PageFile> shared; ///< what `share` moves goes there
};

} // namespace vgpu
