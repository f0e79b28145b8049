#pragma once
// Tensor maps in global memory, which TMA reads through a proxy of its own: what kernels
// changed there, and which blocks may know.

#include <cstdint>
#include <map>

namespace vgpu {

/// Of a device. A block is any number that no two blocks of launches share.
class TensorMapVersions {
public:
  /// A block has changed the map at an address.
  void change(uint64_t address, uint64_t block) {
    Map &map = maps[address];
    ++map.latest;
    map.changedBy = block;
  }
  /// fence.proxy.tensormap::generic.release
  void release(uint64_t block) {
    for (auto &[address, map] : maps)
      if (map.changedBy == block)
        map.released = map.latest;
  }
  uint64_t latest(uint64_t address) const { return at(address).latest; }
  /// The last version that an acquire can learn of.
  uint64_t released(uint64_t address) const { return at(address).released; }

private:
  /// Counts from 1, which is what the host has left there.
  struct Map {
    uint64_t latest = 1, released = 1;
    uint64_t changedBy = 0;
  };
  Map at(uint64_t address) const {
    auto found = maps.find(address);
    return found == maps.end() ? Map() : found->second;
  }

  std::map<uint64_t, Map> maps;
};

} // namespace vgpu
