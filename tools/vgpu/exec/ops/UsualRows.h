#pragma once
// The usual rows of ldmatrix: 16 bytes of shared memory each, wherever they lie, known
// and written, and ordered after all that is remembered of them. As UsualAccess.h has it
// for lanes in order.

#include "check/BlockRaces.h"
#include "exec/ops/SharedAccess.h"

namespace vgpu::VGPU_VARIANT {
namespace {

constexpr uint32_t kRowBytes = 16;

/// Whether the rows are aligned and lie before `end`. Sets their addresses, and what
/// contains them.
template <class Base>
inline bool findRows(const Base *bases, uint64_t offset, uint32_t count, uint32_t end,
                     uint32_t *rows, SharedRange &hull) {
  uint32_t most = end - kRowBytes - kSharedBase, unusual = 0, low = ~0u, high = 0;
  VGPU_LANES
  for (uint32_t lane = 0; lane < count; ++lane) {
    uint64_t address = static_cast<Base>(bases[lane] + offset) & ~kWindowMask;
    auto row = static_cast<uint32_t>(address);
    rows[lane] = row;
    unusual |= static_cast<uint32_t>(address >> 32) | (row & (kRowBytes - 1)) |
               static_cast<uint32_t>(row - kSharedBase > most);
    low = std::min(low, row);
    high = std::max(high, row);
  }
  hull = {low, high + kRowBytes};
  return !unusual;
}

/// Whether all that is known of the rows' bytes is that they were written.
inline bool areWritten(const uint8_t *marks, const uint32_t *rows, uint32_t count) {
  typedef uint64_t Row __attribute__((vector_size(kRowBytes), aligned(1), may_alias));
  Row differences{};
  for (uint32_t lane = 0; lane < count; ++lane)
    differences |= reinterpret_cast<const Row &>(marks[rows[lane]]) ^
                   (Row{} + 0x0101'0101'0101'0101u * kWritten);
  return !(differences[0] | differences[1]);
}

/// Operand 0 is the address. The rows of the first `count` lanes, if they are usual; else
/// null.
inline const uint32_t *readUsualRows(Warp &warp, const Instruction &instruction, uint32_t count) {
  Block &block = warp.block;
  const MemoryForm &form = instruction.memory;
  if (!block.races || !block.races->shared || form.space != ptx::Space::Shared ||
      block.sharedEnd < kSharedBase + kRowBytes)
    return nullptr;
  SharedRaces &races = *block.races->shared;
  const BlockClocks &clocks = block.races->clocks;
  uint32_t *rows = races.rowsToRead(warp.index, clocks);
  SharedRange hull;
  auto find = [&](const auto *bases) {
    auto offset = static_cast<uint64_t>(instruction.immediate);
    return findRows(bases, offset, count, block.sharedEnd, rows, hull);
  };
  Operand base = instruction.operands[0];
  bool areUsual =
      (form.isAddress32 ? find(warp.lanes<uint32_t>(base)) : find(warp.lanes<uint64_t>(base))) &&
      areWritten(block.sharedMarks.data(), rows, count) &&
      races.readRows(count, hull, warp.index, static_cast<uint32_t>(instruction.source->line),
                     clocks);
  return areUsual ? rows : nullptr;
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
