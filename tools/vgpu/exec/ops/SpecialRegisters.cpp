// Special registers: where a thread is, masks of lanes, clocks.
#include "exec/ops/SpecialRegisters.h"
#include "exec/ops/Lanes.h"

#include <chrono>

namespace vgpu::VGPU_VARIANT {
namespace {

enum class Special : uint8_t {
  ThreadX,
  ThreadY,
  ThreadZ,
  BlockSizeX,
  BlockSizeY,
  BlockSizeZ,
  BlockX,
  BlockY,
  BlockZ,
  GridX,
  GridY,
  GridZ,
  Lane,
  WarpIndex,
  WarpCount,
  Multiprocessor,
  Multiprocessors,
  GridId,
  MaskEq,
  MaskLe,
  MaskLt,
  MaskGe,
  MaskGt,
  Clock,
  ClockHigh,
  Clock64,
  GlobalTimer,
  GlobalTimerLow,
  GlobalTimerHigh,
  DynamicShared,
  TotalShared,
  AggregateShared,
  WorkspaceLow,
  WorkspaceHigh,
  One,
  Zero,
};

constexpr std::pair<std::string_view, Special> kSpecials[] = {
    {"%tid.x", Special::ThreadX},
    {"%tid.y", Special::ThreadY},
    {"%tid.z", Special::ThreadZ},
    {"%ntid.x", Special::BlockSizeX},
    {"%ntid.y", Special::BlockSizeY},
    {"%ntid.z", Special::BlockSizeZ},
    {"%ctaid.x", Special::BlockX},
    {"%ctaid.y", Special::BlockY},
    {"%ctaid.z", Special::BlockZ},
    {"%nctaid.x", Special::GridX},
    {"%nctaid.y", Special::GridY},
    {"%nctaid.z", Special::GridZ},
    {"%laneid", Special::Lane},
    {"%warpid", Special::WarpIndex},
    {"%nwarpid", Special::WarpCount},
    {"%smid", Special::Multiprocessor},
    {"%nsmid", Special::Multiprocessors},
    {"%gridid", Special::GridId},
    {"%lanemask_eq", Special::MaskEq},
    {"%lanemask_le", Special::MaskLe},
    {"%lanemask_lt", Special::MaskLt},
    {"%lanemask_ge", Special::MaskGe},
    {"%lanemask_gt", Special::MaskGt},
    {"%clock", Special::Clock},
    {"%clock_hi", Special::ClockHigh},
    {"%clock64", Special::Clock64},
    {"%globaltimer", Special::GlobalTimer},
    {"%globaltimer_lo", Special::GlobalTimerLow},
    {"%globaltimer_hi", Special::GlobalTimerHigh},
    {"%dynamic_smem_size", Special::DynamicShared},
    {"%total_smem_size", Special::TotalShared},
    {"%aggr_smem_size", Special::AggregateShared},
    {"%envreg1", Special::WorkspaceHigh},
    {"%envreg2", Special::WorkspaceLow},
    // A cluster is one block.
    {"%clusterid.x", Special::BlockX},
    {"%clusterid.y", Special::BlockY},
    {"%clusterid.z", Special::BlockZ},
    {"%nclusterid.x", Special::GridX},
    {"%nclusterid.y", Special::GridY},
    {"%nclusterid.z", Special::GridZ},
    {"%cluster_ctaid.x", Special::Zero},
    {"%cluster_ctaid.y", Special::Zero},
    {"%cluster_ctaid.z", Special::Zero},
    {"%cluster_nctaid.x", Special::One},
    {"%cluster_nctaid.y", Special::One},
    {"%cluster_nctaid.z", Special::One},
    {"%cluster_ctarank", Special::Zero},
    {"%cluster_nctarank", Special::One},
};

uint64_t nanoseconds() {
  using namespace std::chrono;
  return duration_cast<std::chrono::nanoseconds>(system_clock::now().time_since_epoch()).count();
}

Dim3 threadOf(const Warp &warp, int lane) {
  return warp.block.launch.block.at(uint64_t{warp.index} * kWarpSize + lane);
}

/// What is different in each lane.
uint64_t valueInLane(Special special, const Warp &warp, int lane) {
  switch (special) {
  case Special::ThreadX:
    return threadOf(warp, lane).x;
  case Special::ThreadY:
    return threadOf(warp, lane).y;
  case Special::ThreadZ:
    return threadOf(warp, lane).z;
  case Special::MaskEq:
    return 1u << lane;
  case Special::MaskLt:
    return (1u << lane) - 1;
  case Special::MaskLe:
    return (2u << lane) - 1;
  case Special::MaskGe:
    return ~((1u << lane) - 1);
  case Special::MaskGt:
    return ~((2u << lane) - 1);
  default:
    return static_cast<uint64_t>(lane);
  }
}

/// What all lanes of a warp see alike. Clocks count instructions.
uint64_t valueInWarp(Special special, const Warp &warp) {
  const Block &block = warp.block;
  const Launch &launch = block.launch;
  switch (special) {
  case Special::BlockSizeX:
    return launch.block.x;
  case Special::BlockSizeY:
    return launch.block.y;
  case Special::BlockSizeZ:
    return launch.block.z;
  case Special::BlockX:
    return block.index.x;
  case Special::BlockY:
    return block.index.y;
  case Special::BlockZ:
    return block.index.z;
  case Special::GridX:
    return launch.grid.x;
  case Special::GridY:
    return launch.grid.y;
  case Special::GridZ:
    return launch.grid.z;
  case Special::WarpIndex:
    return warp.index;
  case Special::WarpCount:
    return block.machine.threadsPerMultiprocessor / kWarpSize;
  case Special::Multiprocessor:
    return block.linearIndex % block.machine.multiprocessors;
  case Special::Multiprocessors:
    return block.machine.multiprocessors;
  case Special::GridId:
    return launch.id;
  case Special::Clock:
  case Special::Clock64:
    return warp.executed;
  case Special::ClockHigh:
    return warp.executed >> 32;
  case Special::GlobalTimer:
  case Special::GlobalTimerLow:
    return nanoseconds();
  case Special::GlobalTimerHigh:
    return nanoseconds() >> 32;
  case Special::DynamicShared:
    return launch.dynamicSharedBytes;
  case Special::TotalShared:
  case Special::AggregateShared:
    return block.sharedEnd - kSharedBase;
  case Special::WorkspaceLow:
    return launch.workspace ? static_cast<uint32_t>(*launch.workspace) : 0;
  case Special::WorkspaceHigh:
    return launch.workspace ? *launch.workspace >> 32 : 0;
  case Special::One:
    return 1;
  default:
    return 0;
  }
}

bool differsInLanes(Special special) {
  return special <= Special::ThreadZ || special == Special::Lane ||
         (special >= Special::MaskEq && special <= Special::MaskGt);
}

template <class S, bool differs>
Step readSpecial(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  auto special = static_cast<Special>(instruction.modifiers);
  S *to = warp.lanes<S>(instruction.operands[0]);
  uint64_t all = differs ? 0 : valueInWarp(special, warp);
  forLanes(lanes,
           [&](int lane) { to[lane] = S(differs ? valueInLane(special, warp, lane) : all); });
  return Step::Next;
}

} // namespace

Handler selectSpecialRegister(Decoding &decoding) {
  const ptx::Operand &from = decoding.source.operands.back();
  for (auto [name, special] : kSpecials) {
    if (name != from.name)
      continue;
    decoding.out.modifiers = static_cast<uint32_t>(special);
    decoding.out.kind = InstructionClass::Move;
    bool isWide = ptx::sizeOf(decoding.out.type) == 8;
    if (differsInLanes(special))
      return isWide ? readSpecial<uint64_t, true> : readSpecial<uint32_t, true>;
    return isWide ? readSpecial<uint64_t, false> : readSpecial<uint32_t, false>;
  }
  if (from.name.rfind("%envreg", 0) == 0 || from.name.rfind("%pm", 0) == 0) {
    decoding.out.modifiers = static_cast<uint32_t>(Special::Zero);
    return ptx::sizeOf(decoding.out.type) == 8 ? readSpecial<uint64_t, false>
                                               : readSpecial<uint32_t, false>;
  }
  if (from.name == "%is_explicit_cluster")
    decoding.unsupported();
  decoding.fail("unknown register '" + from.name + "'");
}

} // namespace vgpu::VGPU_VARIANT
