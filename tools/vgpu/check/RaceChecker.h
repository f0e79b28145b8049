#pragma once
// Finds accesses that conflict and that nothing orders, whatever the schedule
// was: in shared memory between lanes, in global memory also between blocks,
// kernels and streams.

#include "check/AsyncRaces.h"
#include "check/GlobalRaces.h"
#include "exec/Launch.h"

#include <set>

namespace vgpu {

class Findings;

class RaceChecker : public Observer {
public:
  RaceChecker(Findings &findings, const DeviceMemory &memory)
      : findings(findings), global(epochs, memory) {}

  void launchBegins(const Launch &, const TaskOrder &, uint64_t run) override;
  void launchEnds(const Launch &, uint64_t run) override;
  void blockBegins(Block &) override;
  void blockEnds(Block &) override;
  void access(const MemoryAccess &) override;
  void warpSync(Warp &, LaneMask lanes) override;
  void barrierArrive(Warp &, int id, bool waits) override;
  void barrierComplete(Block &, int id) override;
  void fence(Warp &, LaneMask lanes, Order order, Scope scope) override;
  void mbarrierInit(Warp &, int lane, uint32_t address) override;
  void mbarrierArrive(Warp &, LaneMask lanes, uint32_t address) override;
  void mbarrierWait(Warp &, LaneMask lanes, uint32_t address) override;
  void bulkAccess(Warp &, int lane, AccessKind, const BulkPieces &pieces) override;
  void asyncBegins(Warp &, int lane, AccessKind, uint32_t begin, uint32_t end) override;
  void asyncWritten(Warp &, int lane, const Instruction &, uint32_t begin, uint32_t end,
                    uint32_t mbarrier) override;
  void asyncRead(Warp &, LaneMask lanes, const Instruction &, uint32_t begin, uint32_t end,
                 uint32_t unit) override;

private:
  class Reporter;
  struct BlockState;
  /// An execution of a launch.
  struct Run {
    std::string kernel;
    TaskOrder order;
    Time begin = 0; ///< what happened up to it and is unordered was later
    Time start = 0; ///< everything up to it came before
    uint32_t granuleBytes = 4;
    Dim3 grid;
    bool isRunning = true;
    std::set<std::pair<uint32_t, int>> reported; ///< lines and severities
  };
  struct AgentInfo {
    uint64_t run;
    uint32_t block;
  };
  /// What strong stores published at a location.
  struct Publication {
    ClockRef clock;
    Scope scope;
    Agent agent;
  };
  using Location = std::vector<Publication>;

  /// Time begins again: where nothing of the past can matter any more once
  /// there were many times, and at the most also where it could.
  static constexpr Time kManyTimes = 1 << 22, kMostTimes = 1 << 28;
  void forget();
  static BlockState &stateOf(const Block &block);
  std::unique_ptr<SharedRaces> newShadow(const Block &block, uint32_t granuleBytes);
  void observeLocations(const MemoryAccess &access, BlockState &state);
  static void add(Location &location, Publication publication);
  void publish(const MemoryAccess &access, BlockState &state);
  std::unordered_map<uint64_t, Location> &locationsOf(const MemoryAccess &, BlockState &);
  void checkAsync(const MemoryAccess &access, const BlockState &state);
  void reportAt(Warp &warp, int lane, AccessKind kind, Order order, uint64_t address,
                const Conflict &conflict);
  void checkInitialized(Warp &warp, LaneMask lanes, uint32_t address, AccessKind kind);
  void report(const MemoryAccess &access, const Conflict &conflict);
  std::string describe(const Conflict &conflict) const;

  Findings &findings;
  Epochs epochs;
  std::unordered_map<uint64_t, Run> runs; ///< those that later accesses may be unordered with
  std::vector<AgentInfo> agents;          ///< by Agent
  GlobalRaces global;
  std::vector<std::unique_ptr<SharedRaces>> idleShadows;
  std::unordered_map<uint64_t, Location> locations;
};

} // namespace vgpu
