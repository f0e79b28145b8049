// cp.async of 4, 8 or 16 bytes for each lane, its groups, and its arrival at an
// mbarrier.
#include "exec/ops/Async.h"
#include "exec/ops/MemoryPath.h"
#include "exec/ops/UsualAccess.h"

namespace vgpu::VGPU_VARIANT {
namespace {

enum : uint32_t { kIgnoresSource = 1, kHasSourceSize = 2, kIncrements = 4 };

/// Destinations, in bounds and aligned.
void destinationsOf(Warp &warp, const Instruction &instruction, AsyncCopy &copy, LaneMask lanes) {
  const auto *given = warp.lanes<uint64_t>(instruction.operands[0]);
  uint32_t bytes = copy.bytes;
  uint64_t first = kSharedBase, last = warp.block.sharedEnd - bytes, unusual = 0;
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane) {
    uint64_t address = given[lane];
    copy.to[lane] = static_cast<uint32_t>(address);
    unusual |= uint64_t{address < first} | uint64_t{address > last} | (address & (bytes - 1));
  }
  if (!unusual) [[likely]]
    return;
  forLanes(lanes, [&](int lane) {
    copy.to[lane] = sharedAddress(warp.block, lane, given[lane], bytes);
    if (copy.to[lane] % bytes)
      faultMisaligned(LaneMask{1} << lane, given, bytes);
  });
}

/// Addresses must be aligned even where nothing is read.
void checkUnread(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint64_t addresses[kWarpSize];
  const auto *given = warp.lanes<uint64_t>(instruction.operands[1]);
  for (int lane = 0; lane < kWarpSize; ++lane)
    addresses[lane] = given[lane] + static_cast<uint64_t>(instruction.immediate);
  forLanes(lanes, [&](int lane) {
    if (addresses[lane] % instruction.memory.bytes())
      faultMisaligned(LaneMask{1} << lane, addresses, instruction.memory.bytes());
  });
}

/// How many bytes of each lane come from memory. Returns the lanes that read any.
LaneMask sourcesOf(Warp &warp, const Instruction &instruction, AsyncCopy &copy, LaneMask lanes) {
  if (instruction.modifiers & kIgnoresSource)
    lanes &= ~warp.predicate(instruction.operands[2]);
  uint32_t bytes = copy.bytes;
  uint8_t *to = copy.sourceBytes.data();
  if (!(instruction.modifiers & kHasSourceSize)) {
    VGPU_LANES
    for (int lane = 0; lane < kWarpSize; ++lane)
      to[lane] = lanes >> lane & 1 ? static_cast<uint8_t>(bytes) : 0;
    return lanes;
  }
  const uint32_t *sizes = warp.lanes<uint32_t>(instruction.operands[2]);
  uint32_t differences = 0;
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane) {
    to[lane] = static_cast<uint8_t>(sizes[lane]);
    differences |= sizes[lane] ^ bytes;
  }
  if (!differences) [[likely]]
    return lanes;
  if (LaneMask wrong = lanes & maskOf([=](int lane) { return sizes[lane] > bytes; })) {
    int lane = std::countr_zero(wrong);
    throw Fault(FindingKind::InvalidInstruction,
                "its source has " + std::to_string(sizes[lane]) + " bytes, more than the " +
                    std::to_string(bytes) + " of the copy",
                lane);
  }
  return lanes & maskOf([=](int lane) { return sizes[lane] != 0; });
}

/// From the addresses of operand 1, checked.
void readSources(Warp &warp, const Instruction &instruction, AsyncCopy &copy, LaneMask reads) {
  if (usualLoadApart(warp, instruction, 1, reads, copy.from.data()))
    return;
  Accessed source;
  access(warp, instruction, 1, reads, AccessKind::Load, source);
  std::copy(std::begin(source.addresses), std::end(source.addresses), copy.from.begin());
}

/// operands: destination, source, size of the source or predicate to ignore it
Step copy(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  AsyncCopy &copy = asynchronyOf(warp).newCopy(warp);
  copy.instruction = &instruction;
  copy.bytes = instruction.memory.bytes();
  destinationsOf(warp, instruction, copy, lanes);
  LaneMask reads = sourcesOf(warp, instruction, copy, lanes);
  if (lanes != reads)
    checkUnread(warp, instruction, lanes & ~reads);
  if (reads) {
    readSources(warp, instruction, copy, reads);
    for (uint64_t from : copy.from) // it is copied later: not to the nearest cache
      __builtin_prefetch(reinterpret_cast<const uint8_t *>(from), 0, 2);
  }
  copy.lanes = lanes;
  asynchronyOf(warp).issue(warp, copy);
  return Step::Next;
}

Step commitGroup(Warp &warp, const Instruction &, LaneMask lanes) {
  asynchronyOf(warp).commitCopies(warp, lanes);
  return Step::Next;
}

Step waitGroup(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  asynchronyOf(warp).waitForCopies(warp, lanes, static_cast<uint32_t>(instruction.immediate));
  return Step::Next;
}

Step waitAll(Warp &warp, const Instruction &, LaneMask lanes) {
  asynchronyOf(warp).waitForAllCopies(warp, lanes);
  return Step::Next;
}

Step arrive(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const auto *addresses = warp.lanes<uint64_t>(instruction.operands[0]);
  forLanes(lanes, [&](int lane) {
    asynchronyOf(warp).arriveAfterCopies(warp, lane,
                                         sharedAddress(warp.block, lane, addresses[lane], 8),
                                         instruction.modifiers & kIncrements);
  });
  return Step::Next;
}

Handler selectCopyArrive(Decoding &decoding) {
  decoding.expectOperands(1);
  decoding.out.operands[0] = addressOperand(decoding, decoding.operand(0));
  if (!decoding.has("noinc"))
    decoding.out.modifiers = kIncrements;
  return arrive;
}

/// What follows the size: a predicate to ignore the source, or how many bytes it
/// has; a cache policy, which is only a hint, comes last.
void sourceOperand(Decoding &decoding) {
  if (decoding.operandCount() < (decoding.has("L2::cache_hint") ? 5u : 4u))
    return;
  const ptx::Operand &operand = decoding.operand(3);
  bool isPredicate = decoding.isPredicate(operand);
  if (isPredicate)
    require(decoding, {80, 75});
  decoding.out.modifiers = isPredicate ? kIgnoresSource : kHasSourceSize;
  decoding.out.operands[2] =
      isPredicate ? decoding.readPredicate(operand) : decoding.read(operand, Type::U32);
}

Handler selectCopy(Decoding &decoding) {
  if (!decoding.has("async"))
    decoding.unsupported();
  if (decoding.has("bulk"))
    return selectBulk(decoding);
  usesAsynchrony(decoding, false);
  if (decoding.has("commit_group"))
    return commitGroup;
  if (decoding.has("wait_all"))
    return waitAll;
  if (decoding.has("wait_group")) {
    decoding.out.immediate = decoding.integer(0);
    return waitGroup;
  }
  if (decoding.has("mbarrier"))
    return selectCopyArrive(decoding);
  decoding.expectOperands(3, 5);
  int64_t bytes = decoding.integer(2);
  if (bytes != 16 && (decoding.has("cg") || (bytes != 4 && bytes != 8)))
    decoding.fail("cannot copy " + std::to_string(bytes) + " bytes");
  MemoryForm &form = decoding.out.memory;
  decoding.out.operands[0] = addressOperand(decoding, decoding.operand(0));
  decoding.address(1, 1);
  form.space = ptx::Space::Global;
  form.elementBytes = static_cast<uint8_t>(bytes);
  sourceOperand(decoding);
  return copy;
}

} // namespace

void addCopyAsync(SelectorTable &table) { table["cp"] = selectCopy; }

} // namespace vgpu::VGPU_VARIANT
