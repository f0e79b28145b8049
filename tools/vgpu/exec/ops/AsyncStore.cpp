// st.async and red.async: values of registers go to shared memory, or are combined with
// what is there; then their bytes are complete at an mbarrier.
#include "check/Observer.h"
#include "exec/MemoryChecks.h"
#include "exec/ops/Async.h"
#include "exec/ops/BulkReduce.h"

namespace vgpu::VGPU_VARIANT {
namespace {

// Operands: 0 shared address, 1 mbarrier. The list holds the values; `immediate` is the
// reduction.

std::vector<uint8_t> valuesOf(Warp &warp, const Instruction &instruction, int lane) {
  std::vector<uint8_t> values(instruction.memory.bytes());
  uint8_t *to = values.data();
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    Operand from = instruction.list[element];
    if (instruction.memory.elementBytes == 8)
      std::memcpy(to + 8 * element, &warp.lanes<uint64_t>(from)[lane], 8);
    else
      std::memcpy(to + 4 * element, &warp.lanes<uint32_t>(from)[lane], 4);
  }
  return values;
}

/// A reduction is an atomic access of its lane to what has been written.
void accessAsAtomic(Warp &warp, const Instruction &instruction, int lane, SharedRange range) {
  const uint8_t *marks = &warp.block.sharedMarks[range.begin];
  if (std::any_of(marks, marks + (range.end - range.begin),
                  [](uint8_t mark) { return !(mark & kWritten); }))
    reportUninitialized(warp, ptx::Space::Shared, lane, range.begin);
  uint64_t addresses[kWarpSize] = {};
  addresses[lane] = range.begin;
  if (Observer *observer = warp.block.machine.observer)
    observer->access({{AccessKind::Atomic, Order::Relaxed, Scope::Cluster, false,
                       range.end - range.begin, LaneMask{1} << lane, addresses},
                      ptx::Space::Shared,
                      instruction,
                      warp});
}

Step storeLater(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint32_t bytes = instruction.memory.bytes();
  forLanes(lanes, [&](int lane) {
    uint64_t given = warp.lanes<uint64_t>(instruction.operands[0])[lane];
    uint32_t to = sharedAddress(warp.block, lane, given, bytes);
    if (to % bytes)
      throw Fault(FindingKind::Misaligned,
                  "is not aligned to its " + std::to_string(bytes) + " bytes", lane, given);
    BulkCopy store;
    store.kind = BulkCopy::Kind::Put;
    store.warp = &warp;
    store.lane = lane;
    store.instruction = &instruction;
    store.range = {to, to + bytes};
    store.barrier =
        sharedAddress(warp.block, lane, warp.lanes<uint64_t>(instruction.operands[1])[lane], 8);
    store.reduce = reinterpret_cast<BulkReduction>(instruction.immediate);
    store.captured = valuesOf(warp, instruction, lane);
    if (store.reduce)
      accessAsAtomic(warp, instruction, lane, store.range);
    asynchronyOf(warp).issue(std::move(store));
  });
  return Step::Next;
}

} // namespace

Handler selectAsyncStore(Decoding &decoding) {
  if (!decoding.has("mbarrier::complete_tx::bytes"))
    decoding.fail("needs .mbarrier::complete_tx::bytes; to global memory it needs sm_100");
  usesAsynchrony(decoding, true);
  decoding.expectOperands(3);
  bool isReduction = decoding.source.opcode == "red";
  Type type = decoding.type();
  auto bytes = static_cast<uint8_t>(ptx::sizeOf(type));
  if (bytes != 4 && bytes != 8)
    decoding.fail("needs a type of 32 or 64 bits");
  std::vector<Operand> list;
  for (const ptx::Operand *element : decoding.elements(1))
    list.push_back(decoding.read(*element, type));
  decoding.out.memory.space = ptx::Space::Shared;
  decoding.out.memory.elementBytes = bytes;
  decoding.out.memory.elements = static_cast<uint8_t>(list.size());
  size_t wanted = decoding.has("v4") ? 4 : decoding.has("v2") ? 2 : 1;
  if (list.size() != wanted)
    decoding.fail("needs " + std::to_string(wanted) + " registers");
  if (decoding.out.memory.bytes() > 16)
    decoding.fail("stores more than 128 bits");
  decoding.setList(std::move(list));
  if (isReduction)
    decoding.out.immediate = reinterpret_cast<int64_t>(selectBulkReduction(decoding));
  decoding.out.operands[0] = addressOperand(decoding, decoding.operand(0));
  decoding.out.operands[1] = addressOperand(decoding, decoding.operand(2));
  return storeLater;
}

} // namespace vgpu::VGPU_VARIANT
