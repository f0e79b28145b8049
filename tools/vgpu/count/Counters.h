#pragma once
// Counts what launches do: instructions, and how they use memory.

#include "check/Observer.h"
#include "count/CacheModel.h"
#include "count/Counts.h"

#include <map>
#include <memory>
#include <mutex>

namespace vgpu {

class Counters : public Observer {
public:
  /// Each launch finds a cold cache of `cacheBytes`.
  explicit Counters(uint64_t cacheBytes) : cacheBytes(cacheBytes) {}

  void launchBegins(const Launch &, const TaskOrder &, uint64_t run) override;
  void launchEnds(const Launch &, uint64_t run) override;
  void blockBegins(Block &) override;
  void access(const MemoryAccess &) override;
  void bulkAccess(Warp &, int lane, AccessKind, const BulkPieces &pieces) override;

  /// Of the launches that ended since they were last forgotten.
  std::vector<LaunchCounts> ended(bool forgets);

private:
  static void bulkAccess(CacheModel &cache, AccessKind, uint64_t address, uint32_t bytes);
  struct Run {
    Run(const Program &program, uint64_t cacheBytes) : profile(program), cache(cacheBytes) {}
    Profile profile;
    CacheModel cache;
  };
  void countGlobal(const MemoryAccess &access, InstructionCounts &counts, CacheModel &cache);

  const uint64_t cacheBytes;
  std::map<uint64_t, std::unique_ptr<Run>> runs;
  std::mutex mutex; ///< of `done`
  std::vector<LaunchCounts> done;
};

/// Passes of shared memory that an access of all lanes takes: lanes go together
/// as far as 128 bytes reach, and words of one bank go one after the other.
struct Wavefronts {
  uint32_t actual = 0, least = 0;
};
Wavefronts wavefrontsOf(LaneMask lanes, const uint64_t *addresses, uint32_t bytes);

} // namespace vgpu
