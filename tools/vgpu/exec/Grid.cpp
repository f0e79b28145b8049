#include "exec/Grid.h"

#include "check/Observer.h"

#include <algorithm>

namespace vgpu {

uint32_t Grid::blocksPerMultiprocessor(const Machine &machine, uint64_t threads,
                                       uint64_t sharedBytes) {
  uint64_t rounded = (threads + kWarpSize - 1) / kWarpSize * kWarpSize;
  uint64_t byThreads = machine.threadsPerMultiprocessor / std::max<uint64_t>(rounded, 1);
  uint64_t byShared = machine.sharedPerMultiprocessor / (sharedBytes + kSharedBase);
  return static_cast<uint32_t>(
      std::min({byThreads, byShared, uint64_t{machine.blocksPerMultiprocessor}}));
}

uint64_t Grid::residentLimit(const Machine &machine, const Launch &launch) {
  uint64_t each =
      blocksPerMultiprocessor(machine, launch.block.count(), launch.sharedEnd() - kSharedBase);
  return std::max<uint64_t>(each * machine.multiprocessors, 1);
}

Grid::Grid(Machine &machine, std::shared_ptr<const Launch> launch, uint64_t seed,
           const TaskOrder &order)
    : machine(machine), launchHeld(std::move(launch)), schedule(seed), run(machine.runs++),
      blocks(std::min(launchHeld->grid.count(), machine.mostBlocks)),
      limit(residentLimit(machine, *launchHeld)) {
  if (machine.observer)
    machine.observer->launchBegins(*launchHeld, order, run);
}

Grid::~Grid() {
  resident.clear();
  if (machine.observer)
    machine.observer->launchEnds(*launchHeld, run);
}

/// A block becomes resident when its first turn comes, so blocks that need no
/// other run to their end one after the other, in little memory.
Block &Grid::current() {
  const Launch &launch = *launchHeld;
  bool hasRoom = nextBlock < blocks && resident.size() < limit;
  size_t choice = schedule.choose(turn, resident.size() + hasRoom);
  if (choice == resident.size()) {
    resident.push_back(std::make_unique<Block>(machine, launch, run, launch.grid.at(nextBlock),
                                               static_cast<uint32_t>(nextBlock)));
    ++nextBlock;
  }
  turn = choice;
  return *resident[choice];
}

Grid::State Grid::step() {
  if (resident.empty() && nextBlock == blocks)
    return State::Finished;
  Block &block = current();
  bool progressed = false;
  try {
    uint32_t left = machine.interleavesBlocks ? 1 : schedule.blockTurns();
    for (; left > 0 && !block.isFinished(); --left) {
      ++turns;
      if (!block.run([&](Warp &) { return schedule.warpTurn(); }))
        break;
      progressed = true;
    }
  } catch (const Fault &fault) {
    report(fault, block);
    throw;
  }
  if (block.isFinished()) {
    resident.erase(resident.begin() + static_cast<ptrdiff_t>(turn));
    stalledTurns = 0;
    return State::Running;
  }
  ++turn;
  stalledTurns = progressed ? 0 : stalledTurns + 1;
  bool allResident = nextBlock == blocks || resident.size() == limit;
  if (!allResident || progressed || !isStalled())
    return State::Running;
  return State::Stalled;
}

/// With turns at random, a long run of failures is not yet a proof.
bool Grid::isStalled() {
  if (stalledTurns < resident.size())
    return false;
  stalledTurns = 0;
  return std::none_of(resident.begin(), resident.end(), [&](const auto &block) {
    return block->run([&](Warp &) { return schedule.warpTurn(); });
  });
}

void Grid::report(const Fault &fault, Block &block) {
  Finding finding;
  finding.kind = fault.kind;
  finding.message = fault.what();
  finding.address = fault.address;
  finding.hasAddress = fault.hasAddress;
  if (const Warp *warp = block.running())
    finding.site = warp->site(fault.lane);
  machine.findings.add(std::move(finding));
}

void Grid::reportDeadlock(const std::string &reason) {
  Finding finding;
  finding.kind = FindingKind::Deadlock;
  finding.message = reason;
  size_t told = 0;
  for (const auto &block : resident) {
    if (++told > 4) {
      finding.message += "\n  and " + std::to_string(resident.size() - 4) + " blocks more";
      break;
    }
    finding.message += block->describeWaiting();
  }
  finding.site.kernel = launchHeld->program->kernel->name;
  machine.findings.add(std::move(finding));
}

} // namespace vgpu
