#pragma once
// The allocations of global memory, and what is known of each as a whole.

#include "check/ReadLog.h"
#include "memory/DeviceMemory.h"

#include <functional>

namespace vgpu {

struct GlobalRegion {
  uint64_t begin = 0, end = 0;
  uint64_t writtenEnd = 0; ///< all bytes before are known to have been written
  Time newestWrite = 0;    ///< no write is newer
  bool isReadOnly = false;
  ReadLog reads;             ///< that the shadow does not know yet
  uint64_t seenErasures = 0; ///< of DeviceMemory

  bool contains(uint64_t address, uint64_t bytes) const {
    return address >= begin && address <= end && bytes <= end - address;
  }
  /// From where the log counts its places.
  uint64_t base() const { return begin & -uint64_t{256}; }
};

class GlobalRegions {
public:
  /// `leaves` is told of a region whose addresses have become another's.
  GlobalRegions(const DeviceMemory &memory, std::function<void(GlobalRegion &)> leaves)
      : memory(memory), leaves(std::move(leaves)) {
    clear();
  }

  /// The region of the address; an empty one, to which everything has just been
  /// written, if it is none. What an instruction, or a line, met last is met again.
  GlobalRegion &of(size_t instruction, uint64_t address) {
    GlobalRegion *&known = met[instruction % std::size(met)];
    if (memory.generation() != generation || !known->contains(address, 1)) [[unlikely]]
      known = &find(address);
    return *known;
  }
  /// More may have been written of it since.
  void lookForWritten(GlobalRegion &region) const;
  template <class Visit> void each(Visit visit) {
    for (auto &[begin, region] : regions)
      visit(*region);
  }
  /// Forgets everything.
  void clear();

private:
  GlobalRegion &find(uint64_t address);
  GlobalRegion &add(const Allocation &allocation);
  void forgetMet();

  const DeviceMemory &memory;
  const std::function<void(GlobalRegion &)> leaves;
  std::map<uint64_t, std::unique_ptr<GlobalRegion>> regions; ///< by their begin
  GlobalRegion nowhere;
  uint64_t generation = 0; ///< of the memory, for which `met` is true
  GlobalRegion *met[64];
};

} // namespace vgpu
