#pragma once
// From an instruction's addresses to the bytes they mean, checked.

#include "exec/ops/GlobalAccess.h"
#include "exec/ops/LocalAccess.h"
#include "exec/ops/SharedAccess.h"

namespace vgpu::VGPU_VARIANT {
namespace {

inline void accessParameters(Warp &warp, const Instruction &instruction, LaneMask lanes,
                             Accessed &accessed) {
  const std::vector<uint8_t> &parameters = warp.block.launch.parameters;
  uint32_t bytes = instruction.memory.bytes();
  forLanes(lanes, [&](int lane) {
    uint64_t address = accessed.addresses[lane] & ~kWindowMask;
    if (address > parameters.size() || bytes > parameters.size() - address)
      faultParameter(warp, lane, address, bytes);
    accessed.bytes[lane] = const_cast<uint8_t *>(parameters.data()) + address; // only loads
  });
}

/// Generic addresses: each lane may mean another space.
inline void accessGeneric(Warp &warp, const Instruction &instruction, LaneMask lanes,
                          Accessed &accessed, AccessKind kind) {
  LaneMask inWindow[5] = {};
  for (int lane = 0; lane < kWarpSize; ++lane) {
    uint64_t window = accessed.addresses[lane] >> 56;
    if (lanes >> lane & 1)
      inWindow[std::min<uint64_t>(window, 4)] |= LaneMask{1} << lane;
  }
  if (inWindow[0] == lanes)
    return accessGlobal(warp, instruction, lanes, accessed, kind);
  for (int window = 0; window < 5; ++window) {
    LaneMask some = inWindow[window];
    if (!some)
      continue;
    Accessed part;
    uint64_t first = accessed.addresses[std::countr_zero(some)] & ~kWindowMask;
    for (int lane = 0; lane < kWarpSize; ++lane)
      part.addresses[lane] = some >> lane & 1 ? accessed.addresses[lane] & ~kWindowMask : first;
    if (window == 0)
      accessGlobal(warp, instruction, some, part, kind);
    else if (window == 1)
      accessShared(warp, instruction, some, part, kind);
    else if (window == 2)
      accessLocal(warp, instruction, some, part, kind);
    else if (window == 3 && kind == AccessKind::Load)
      accessParameters(warp, instruction, some, part);
    else
      checkEachGlobal(warp, some, accessed.addresses, instruction.memory.bytes(), kind);
    accessed.local |= part.local;
    forLanes(some, [&](int lane) {
      accessed.addresses[lane] = part.addresses[lane];
      accessed.bytes[lane] = part.of(lane);
      if (window == 2) {
        std::memcpy(accessed.bounce[lane], part.bounce[lane], sizeof part.bounce[lane]);
        accessed.bytes[lane] = accessed.bounce[lane];
      }
    });
  }
}

/// Resolves and checks the addresses that `accessed` has.
inline void accessAddresses(Warp &warp, const Instruction &instruction, LaneMask lanes,
                            AccessKind kind, Accessed &accessed) {
  switch (instruction.memory.space) {
  case ptx::Space::Global:
  case ptx::Space::Const:
    return accessGlobal(warp, instruction, lanes, accessed, kind);
  case ptx::Space::Shared:
    for (uint64_t &address : accessed.addresses)
      address &= ~kWindowMask;
    return accessShared(warp, instruction, lanes, accessed, kind);
  case ptx::Space::Local:
    for (uint64_t &address : accessed.addresses)
      address &= ~kWindowMask;
    return accessLocal(warp, instruction, lanes, accessed, kind);
  case ptx::Space::Param:
    return accessParameters(warp, instruction, lanes, accessed);
  case ptx::Space::Generic:
    return accessGeneric(warp, instruction, lanes, accessed, kind);
  }
}

/// The addresses are those of `operand`, plus the offset.
inline void access(Warp &warp, const Instruction &instruction, size_t operand, LaneMask lanes,
                   AccessKind kind, Accessed &accessed) {
  computeAddresses(warp, instruction, operand, lanes, accessed);
  accessAddresses(warp, instruction, lanes, kind, accessed);
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
