#include "exec/MemoryChecks.h"

#include <bit>
#include <cinttypes>
#include <cstdio>

namespace vgpu {
namespace {

std::string_view verb(AccessKind kind) {
  switch (kind) {
  case AccessKind::Load:
    return "reads";
  case AccessKind::Store:
    return "writes";
  case AccessKind::Atomic:
    return "updates";
  }
  return "touches";
}

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%" PRIx64, value);
  return text;
}

[[noreturn]] void faultGlobal(const Warp &warp, int lane, uint64_t address, uint32_t bytes,
                              AccessKind kind) {
  std::string message =
      std::string(verb(kind)) + " " + std::to_string(bytes) + " bytes outside of every allocation";
  if (std::optional<Allocation> near = warp.block.machine.memory.before(address))
    message += "; the one before, " + hex(near->begin) + " of " +
               std::to_string(near->end - near->begin) + " bytes, ends " +
               (address >= near->end ? std::to_string(address - near->end) + " bytes before it"
                                     : "inside the access");
  throw Fault(FindingKind::OutOfBounds, message, lane, address);
}

} // namespace

Allocation checkEachGlobal(Warp &warp, LaneMask lanes, const uint64_t *addresses, uint32_t bytes,
                           AccessKind kind) {
  const DeviceMemory &memory = warp.block.machine.memory;
  Allocation allocation, first;
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    if (allocation.end == 0 || !allocation.contains(addresses[lane], bytes)) {
      std::optional<Allocation> found = memory.find(addresses[lane]);
      if (!found || !found->contains(addresses[lane], bytes))
        faultGlobal(warp, lane, addresses[lane], bytes, kind);
      allocation = *found;
    }
    if (allocation.isReadOnly && kind != AccessKind::Load)
      throw Fault(FindingKind::ReadOnlyWrite, "writes to constant memory", lane, addresses[lane]);
    if (first.end == 0)
      first = allocation;
  }
  return first;
}

void faultMisaligned(LaneMask lanes, const uint64_t *addresses, uint32_t bytes) {
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    if (addresses[lane] % bytes)
      throw Fault(FindingKind::Misaligned,
                  "an access of " + std::to_string(bytes) + " bytes is not aligned to its size",
                  lane, addresses[lane]);
  }
  throw Fault(FindingKind::Misaligned, "misaligned access");
}

void faultShared(const Block &block, LaneMask lanes, const uint64_t *addresses, uint32_t bytes,
                 AccessKind kind) {
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    if (!block.inShared(addresses[lane], bytes))
      throw Fault(FindingKind::OutOfBounds,
                  std::string(verb(kind)) + " " + std::to_string(bytes) +
                      " bytes outside of the block's shared memory, " + hex(kSharedBase) + " to " +
                      hex(block.sharedEnd),
                  lane, addresses[lane]);
  }
  throw Fault(FindingKind::OutOfBounds, "shared access out of bounds");
}

void faultLocal(const Warp &warp, int lane, uint64_t address, uint32_t bytes) {
  throw Fault(FindingKind::OutOfBounds,
              "touches " + std::to_string(bytes) + " bytes outside of the thread's " +
                  std::to_string(warp.local.size() / kWarpSize * 4) + " bytes of local memory",
              lane, address);
}

void faultParameter(const Warp &warp, int lane, uint64_t address, uint32_t bytes) {
  throw Fault(FindingKind::OutOfBounds,
              "reads " + std::to_string(bytes) + " bytes outside of the kernel's " +
                  std::to_string(warp.block.launch.parameters.size()) + " bytes of parameters",
              lane, address);
}

void reportUninitialized(Warp &warp, ptx::Space space, int lane, uint64_t address) {
  std::string_view name = space == ptx::Space::Shared  ? "shared"
                          : space == ptx::Space::Local ? "local"
                                                       : "global";
  Finding finding;
  finding.kind = FindingKind::Uninitialized;
  finding.message = "reads " + std::string(name) + " memory that nobody has written";
  finding.site = warp.site(lane);
  finding.address = address;
  finding.hasAddress = true;
  warp.block.machine.findings.add(std::move(finding));
}

} // namespace vgpu
