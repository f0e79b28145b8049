#pragma once
// The second-level cache as a model: 16 ways of 128-byte lines, least recently
// used first out, filled and written back in sectors of 32 bytes. Lines at a
// distance of a power of two lie in different sets, as GPUs see to by hashing.

#include <cstdint>
#include <vector>

namespace vgpu {

class CacheModel {
public:
  static constexpr uint32_t kLineBytes = 128, kSectorBytes = 32, kWays = 16;

  /// Cold. `bytes` is a multiple of a set, 2 KB.
  explicit CacheModel(uint64_t bytes) : sets(bytes / (kLineBytes * kWays)) {}

  /// One request for some of the line's four sectors. Sectors that are written
  /// are not fetched first.
  void access(uint64_t line, uint32_t sectors, bool isWrite);
  /// Writes back what is dirty.
  void flush();

  uint64_t dramReadBytes = 0, dramWriteBytes = 0;
  uint64_t readBytes = 0, writtenBytes = 0; ///< what requests asked of the cache

private:
  struct Set {
    uint64_t tags[kWays] = {}; ///< line + 1; the most recently used first
    uint8_t valid[kWays] = {}, dirty[kWays] = {};
  };

  Set &setOf(uint64_t line);
  void writeBack(uint8_t &dirty);

  std::vector<Set> sets;
};

} // namespace vgpu
