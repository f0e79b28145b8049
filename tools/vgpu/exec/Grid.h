#pragma once
// The blocks of a launch: which are resident, and whose turn it is.

#include "exec/Block.h"

#include <random>

namespace vgpu {

/// Seed 0 is round robin with long turns; others draw turns at random.
class Schedule {
public:
  explicit Schedule(uint64_t seed) : random(seed), isRandom(seed != 0) {}

  uint32_t warpTurn() { return isRandom ? 1 + random() % 256 : 512; }
  uint32_t blockTurns() { return isRandom ? 1 + random() % 8 : 64; }
  size_t choose(size_t next, size_t count) { return isRandom ? random() % count : next % count; }

private:
  std::minstd_rand random;
  bool isRandom;
};

class Grid {
public:
  enum class State : uint8_t { Running, Stalled, Finished };

  /// `order` is its place among the tasks of the device, for observers.
  Grid(Machine &machine, std::shared_ptr<const Launch> launch, uint64_t seed,
       const TaskOrder &order = {});
  ~Grid();

  /// Gives one block a turn. Stalled: no block can go on before something
  /// happens outside. Throws a Fault after reporting it.
  State step();
  /// Reports, with where everybody is, that the kernel will not end.
  void reportDeadlock(const std::string &reason);

  const Launch &launch() const { return *launchHeld; }
  /// Turns that blocks have had: how long it has been running.
  uint64_t turnsTaken() const { return turns; }

  /// Blocks that fit on the device at a time.
  static uint64_t residentLimit(const Machine &machine, const Launch &launch);
  static uint32_t blocksPerMultiprocessor(const Machine &machine, uint64_t threads,
                                          uint64_t sharedBytes);

private:
  Block &current();
  bool isStalled();
  void report(const Fault &fault, Block &block);

  Machine &machine;
  std::shared_ptr<const Launch> launchHeld;
  Schedule schedule;
  const uint64_t run;    ///< the number of this Grid
  const uint64_t blocks; ///< that are executed
  uint64_t limit;
  uint64_t nextBlock = 0;
  size_t turn = 0;
  size_t stalledTurns = 0;
  uint64_t turns = 0;
  std::vector<std::unique_ptr<Block>> resident;
};

} // namespace vgpu
