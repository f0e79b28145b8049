#include "exec/Block.h"

#include "check/Observer.h"
#include "exec/Asynchrony.h"

#include <bit>

namespace vgpu {

Block::Block(Machine &machine, const Launch &launch, uint64_t run, Dim3 index, uint32_t linearIndex)
    : machine(machine), launch(launch), index(index), linearIndex(linearIndex),
      sharedEnd(launch.sharedEnd()), sharedBytes(sharedEnd, 0xdb), sharedMarks(sharedEnd + 16, 0),
      runNumber(run) {
  uint64_t threads = launch.block.count();
  for (uint64_t first = 0; first < threads; first += kWarpSize) {
    uint64_t count = std::min<uint64_t>(kWarpSize, threads - first);
    LaneMask lanes = count == kWarpSize ? kAllLanes : (LaneMask{1} << count) - 1;
    warps.push_back(std::make_unique<Warp>(*this, static_cast<uint32_t>(first / kWarpSize), lanes));
  }
  if (launch.program->traits.usesAsynchrony)
    asynchrony = std::make_unique<Asynchrony>(*this);
  if (machine.observer)
    machine.observer->blockBegins(*this);
}

Block::~Block() {
  if (machine.observer)
    machine.observer->blockEnds(*this);
}

void Block::arriveAtBarrier(Warp &warp, int id, uint32_t threads, bool waits, LaneMask reduction) {
  Barrier &barrier = barriers[id];
  if (threads % kWarpSize)
    throw Fault(FindingKind::InvalidInstruction,
                "a barrier of " + std::to_string(threads) + " threads, which is no multiple of 32");
  if (barrier.isOpen && barrier.expected != threads)
    throw Fault(FindingKind::BarrierDivergence,
                "barrier " + std::to_string(id) + " of " + std::to_string(threads) +
                    " threads, but others arrived for " + std::to_string(barrier.expected));
  if (machine.observer)
    machine.observer->barrierArrive(warp, id, waits);
  barrier.isOpen = true;
  barrier.expected = threads;
  barrier.arrived += kWarpSize;
  ++barrier.warpsArrived;
  barrier.reductionCount += std::popcount(reduction);
  barrier.reductionLanes += std::popcount(warp.live());
  if (waits)
    warp.waitAtBarrier(id, reduction);
  completeIfAll(id);
}

void Block::completeIfAll(int id) {
  Barrier &barrier = barriers[id];
  uint64_t expected =
      barrier.expected ? barrier.expected : (warps.size() - finishedWarps) * uint64_t{kWarpSize};
  if (!barrier.isOpen || barrier.arrived < expected)
    return;
  if (barrier.arrived > expected)
    throw Fault(FindingKind::BarrierDivergence, "barrier " + std::to_string(id) + " expects " +
                                                    std::to_string(expected) + " threads, but " +
                                                    std::to_string(barrier.arrived) + " arrived");
  if (machine.observer)
    machine.observer->barrierComplete(*this, id);
  Barrier done = barrier;
  barrier = Barrier();
  for (auto &warp : warps)
    warp->releaseBarrier(id, done.reductionCount, done.reductionCount == done.reductionLanes,
                         done.reductionCount > 0);
}

void Block::arriveAtCluster(Warp &warp) {
  if (machine.observer)
    machine.observer->barrierArrive(warp, kClusterBarrier, true);
  warp.clusterPhase = clusterPhase;
  ++clusterArrived;
  completeCluster();
}

void Block::completeCluster() {
  if (clusterArrived == 0 || clusterArrived < warps.size() - finishedWarps)
    return;
  if (machine.observer)
    machine.observer->barrierComplete(*this, kClusterBarrier);
  clusterArrived = 0;
  ++clusterPhase;
}

void Block::warpFinished(Warp &) {
  ++finishedWarps;
  completeCluster();
  if (isFinished() && asynchrony)
    asynchrony->finish();
  // Threads that have left count as arrived.
  for (int id = 0; id < 16; ++id)
    if (barriers[id].isOpen && barriers[id].expected == 0 && finishedWarps < warps.size())
      completeIfAll(id);
}

std::string Block::describeWaiting() const {
  std::string text;
  for (const auto &warp : warps)
    for (const Path &path : warp->paths) {
      const ptx::Instruction *source = path.frame->function->code[path.pc].source;
      text += "\n  block (" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " +
              std::to_string(index.z) + ") warp " + std::to_string(warp->index) + ", " +
              std::to_string(std::popcount(path.lanes)) + " lanes, ptx line " +
              std::to_string(source ? source->line : 0);
      if (path.state == Path::State::Barrier)
        text += ": waits at barrier " + std::to_string(path.barrier);
      else if (path.state == Path::State::Lanes)
        text += ": waits for other lanes of its warp";
      else
        text += ": " + (source ? source->text() : std::string("waits"));
    }
  if (asynchrony)
    text += asynchrony->describe();
  return text;
}

} // namespace vgpu
