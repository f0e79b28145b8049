#pragma once
// The slow sides of memory accesses: faults and findings, in words.

#include "check/Observer.h"
#include "exec/Block.h"

namespace vgpu {

/// Global addresses that are not all in one known allocation: checks each lane,
/// or throws. Returns the allocation of the first lane.
Allocation checkEachGlobal(Warp &warp, LaneMask lanes, const uint64_t *addresses, uint32_t bytes,
                           AccessKind kind);

[[noreturn]] void faultMisaligned(LaneMask lanes, const uint64_t *addresses, uint32_t bytes);
[[noreturn]] void faultShared(const Block &block, LaneMask lanes, const uint64_t *addresses,
                              uint32_t bytes, AccessKind kind);
[[noreturn]] void faultLocal(const Warp &warp, int lane, uint64_t address, uint32_t bytes);
[[noreturn]] void faultParameter(const Warp &warp, int lane, uint64_t address, uint32_t bytes);

/// Reports the first lane that reads bytes that nobody has written.
void reportUninitialized(Warp &warp, ptx::Space space, int lane, uint64_t address);

} // namespace vgpu
