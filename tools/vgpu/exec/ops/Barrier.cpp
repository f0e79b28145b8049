// Barriers of warps and blocks, and fences.
#include "check/Observer.h"
#include "exec/ops/Families.h"
#include "exec/ops/Lanes.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

enum : uint32_t { kAligned = 1, kArrives = 2, kReduces = 4, kNegated = 8 };

uint32_t uniform(const Warp &warp, Operand operand, LaneMask lanes, std::string_view what) {
  const uint32_t *values = warp.lanes<uint32_t>(operand);
  uint32_t value = values[std::countr_zero(lanes)];
  LaneMask others = lanes & maskOf([=](int lane) { return values[lane] != value; });
  if (others) {
    int lane = std::countr_zero(others);
    throw Fault(FindingKind::BarrierDivergence,
                "lanes disagree about " + std::string(what) + ": " + std::to_string(value) +
                    " and " + std::to_string(values[lane]),
                lane);
  }
  return value;
}

/// operands: barrier, threads (0 for all), predicate to reduce
Step barrier(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint32_t id = uniform(warp, instruction.operands[0], lanes, "the barrier");
  uint32_t threads = uniform(warp, instruction.operands[1], lanes, "its threads");
  if (id >= std::size(warp.barrierLanes))
    throw Fault(FindingKind::InvalidInstruction, "there is no barrier " + std::to_string(id));
  if ((instruction.modifiers & kAligned) && lanes != warp.live())
    throw Fault(FindingKind::BarrierDivergence,
                "only " + std::to_string(std::popcount(lanes)) + " of the warp's " +
                    std::to_string(std::popcount(warp.live())) + " lanes execute it",
                std::countr_zero(lanes));
  LaneMask reduced = 0;
  if (instruction.modifiers & kReduces)
    reduced = warp.predicate(instruction.operands[2]) & lanes;
  bool waits = !(instruction.modifiers & kArrives);
  // Without .aligned, the lanes may come one after the other.
  LaneMask &arrived = warp.barrierLanes[id];
  arrived |= lanes;
  if (arrived != warp.live()) {
    if (!waits)
      return Step::Next;
    warp.waitAtBarrier(static_cast<int>(id), reduced);
    return Step::Jump;
  }
  arrived = 0;
  warp.block.arriveAtBarrier(warp, static_cast<int>(id), threads, waits, reduced);
  return waits ? Step::Jump : Step::Next;
}

Step warpBarrier(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint32_t *members = warp.lanes<uint32_t>(instruction.operands[0]);
  LaneMask all = 0;
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane)
    all |= lanes >> lane & 1 ? members[lane] : 0;
  LaneMask together = warp.gather(lanes, all);
  if (!together)
    return Step::Jump;
  if (Observer *observer = warp.block.machine.observer)
    observer->warpSync(warp, together);
  return Step::Next;
}

Step clusterArrive(Warp &warp, const Instruction &, LaneMask lanes) {
  warp.clusterLanes |= lanes;
  if ((warp.clusterLanes & warp.live()) != warp.live())
    return Step::Next;
  warp.clusterLanes = 0;
  warp.block.arriveAtCluster(warp);
  return Step::Next;
}

Step clusterWait(Warp &warp, const Instruction &, LaneMask) {
  return warp.block.isClusterComplete(warp) ? Step::Next : Step::Wait;
}

void reduction(Decoding &decoding) {
  decoding.out.modifiers |= kReduces;
  bool isCount = decoding.has("popc");
  decoding.out.immediate = isCount ? 0 : decoding.has("and") ? 1 : 2;
  decoding.setList(
      {isCount ? decoding.write(0, Type::U32) : decoding.writePredicate(decoding.operand(0))});
  size_t last = decoding.operandCount() - 1;
  decoding.out.operands[2] = decoding.readPredicate(decoding.operand(last));
  decoding.out.operands[0] = decoding.read(1, Type::U32);
  decoding.out.operands[1] =
      last == 3 ? decoding.read(2, Type::U32) : decoding.builder.constant(0, 4);
}

Handler selectBarrier(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Barrier;
  if (decoding.has("warp")) {
    decoding.expectOperands(1);
    decoding.out.operands[0] = decoding.read(0, Type::B32);
    return warpBarrier;
  }
  if (decoding.has("cluster"))
    return decoding.has("arrive") ? clusterArrive : clusterWait;
  if (decoding.source.opcode == "bar" || decoding.has("aligned"))
    decoding.out.modifiers |= kAligned;
  if (decoding.has("red")) {
    decoding.expectOperands(3, 4);
    reduction(decoding);
    return barrier;
  }
  if (decoding.has("arrive"))
    decoding.out.modifiers |= kArrives;
  decoding.expectOperands(1, 2);
  decoding.out.operands[0] = decoding.read(0, Type::U32);
  decoding.out.operands[1] =
      decoding.operandCount() > 1 ? decoding.read(1, Type::U32) : decoding.builder.constant(0, 4);
  return barrier;
}

/// Execution is in order, so a fence only tells the checkers.
Step fence(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  if (Observer *observer = warp.block.machine.observer)
    observer->fence(warp, lanes, instruction.memory.order, instruction.memory.scope);
  return Step::Next;
}

Handler selectFence(Decoding &decoding) {
  if (decoding.has("proxy") || decoding.has("mbarrier_init"))
    return selectProxyFence(decoding);
  decoding.out.kind = InstructionClass::Barrier;
  MemoryForm &form = decoding.out.memory;
  form.order = Order::AcquireRelease;
  if (decoding.has("gl"))
    form.scope = Scope::Device;
  else if (decoding.has("sys"))
    form.scope = Scope::System;
  else if (decoding.has("gpu"))
    form.scope = Scope::Device;
  else if (decoding.has("cluster"))
    form.scope = Scope::Cluster;
  else
    form.scope = Scope::Block;
  return fence;
}

} // namespace

void addBarrier(SelectorTable &table) {
  table["bar"] = selectBarrier;
  table["barrier"] = selectBarrier;
  table["fence"] = selectFence;
  table["membar"] = selectFence;
}

} // namespace vgpu::VGPU_VARIANT
