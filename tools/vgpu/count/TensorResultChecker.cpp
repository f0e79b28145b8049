#include "count/TensorResultChecker.h"

#include "exec/Block.h"

#include <algorithm>
#include <bit>

namespace vgpu {

WordSet::Page *WordSet::pageOf(uint64_t number, bool isWanted) {
  if (number == lastNumber)
    return last;
  auto found = pages.find(number);
  if (found == pages.end()) {
    if (!isWanted)
      return nullptr;
    found = pages.emplace(number, Page(kPageWords / 64)).first;
  }
  lastNumber = number;
  last = &found->second;
  return last;
}

void WordSet::set(uint64_t address, uint32_t bytes, bool isMember) {
  for (uint64_t word = address / 4; word * 4 < address + bytes; ++word) {
    Page *page = pageOf(word / kPageWords, isMember);
    if (!page)
      continue;
    uint64_t &bits = (*page)[word % kPageWords / 64], bit = uint64_t{1} << word % 64;
    bits = isMember ? bits | bit : bits & ~bit;
  }
}

bool WordSet::meets(uint64_t address, uint32_t bytes) {
  uint64_t word = address / 4, end = (address + bytes + 3) / 4;
  while (word < end) {
    const Page *page = pageOf(word / kPageWords, false);
    uint64_t stop =
        std::min(end, (page ? word / 64 + 1 : (word / kPageWords + 1) * kPageWords / 64) * 64);
    if (page &&
        (*page)[word % kPageWords / 64] >> word % 64 & (~uint64_t{0} >> (64 - (stop - word))))
      return true;
    word = stop;
  }
  return false;
}

TensorResultChecker::BlockState &TensorResultChecker::stateOf(const Block &block) {
  return static_cast<BlockState &>(*block.observations[kTensorResults]);
}

TensorResultFlow &TensorResultChecker::flowOf(const Block &block) {
  return *flows.at(block.runNumber);
}

void TensorResultChecker::launchBegins(const Launch &launch, const TaskOrder &, uint64_t run) {
  flows[run] = std::make_unique<TensorResultFlow>(*launch.program);
}

void TensorResultChecker::launchEnds(const Launch &, uint64_t run) { flows.erase(run); }

void TensorResultChecker::blockBegins(Block &block) {
  block.observations[kTensorResults] = std::make_unique<BlockState>();
}

void TensorResultChecker::refuseConflict(const TensorResultFlow &flow) {
  if (const ptx::Instruction *conflict = flow.conflict())
    throw Fault(FindingKind::NotCountable,
                "tensor instructions compute nothing while counting, but their results decide "
                "what " +
                    conflict->text() + " at ptx line " + std::to_string(conflict->line) +
                    " does: count with their arithmetic, without VGPU_COUNT_ONLY");
}

bool TensorResultChecker::isLoaded(const MemoryAccess &access, BlockState &state) {
  if (access.space == ptx::Space::Local)
    return state.isLocal;
  bool isShared = access.space == ptx::Space::Shared;
  if (isShared && state.isAllShared)
    return true;
  WordSet &set = isShared ? state.shared : global;
  if (set.isEmpty())
    return false;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1)
    if (set.meets(access.addresses[std::countr_zero(rest)], access.bytes))
      return true;
  return false;
}

void TensorResultChecker::store(const MemoryAccess &access, BlockState &state) {
  const ptx::Instruction &source = *access.instruction.source;
  bool isResult =
      flowOf(access.warp.block).isStored(source) ||
      std::find(state.copies.begin(), state.copies.end(), &source) != state.copies.end();
  if (access.space == ptx::Space::Local) {
    state.isLocal |= isResult;
    return;
  }
  WordSet &set = access.space == ptx::Space::Shared ? state.shared : global;
  if (!isResult && (set.isEmpty() || access.kind == AccessKind::Atomic))
    return;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1)
    set.set(access.addresses[std::countr_zero(rest)], access.bytes, isResult);
}

void TensorResultChecker::access(const MemoryAccess &access) {
  BlockState &state = stateOf(access.warp.block);
  TensorResultFlow &flow = flowOf(access.warp.block);
  if (access.kind != AccessKind::Store && isLoaded(access, state)) {
    const ptx::Instruction &source = *access.instruction.source;
    if (source.opcode == "cp")
      state.copies.push_back(&source);
    else
      flow.load(source);
  }
  refuseConflict(flow);
  if (access.kind != AccessKind::Load)
    store(access, state);
}

void TensorResultChecker::bulkAccess(Warp &warp, int, AccessKind kind, const BulkPieces &pieces) {
  BlockState &state = stateOf(warp.block);
  for (const BulkPiece &piece : pieces) {
    if (!piece.global)
      continue;
    if (kind == AccessKind::Load)
      state.isAllShared =
          state.isAllShared || (!global.isEmpty() && global.meets(piece.global, piece.bytes));
    else if (state.isAllShared || !state.shared.isEmpty())
      global.set(piece.global, piece.bytes, true);
  }
  refuseConflict(flowOf(warp.block));
}

} // namespace vgpu
