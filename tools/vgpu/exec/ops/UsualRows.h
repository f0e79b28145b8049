#pragma once
// The usual rows of ldmatrix: 16 bytes of shared memory each, wherever they lie, known
// and written, and ordered after all that is remembered of them. As UsualAccess.h has it
// for lanes in order.

#include "check/BlockRaces.h"
#include "exec/ops/SharedAccess.h"

namespace vgpu::VGPU_VARIANT {
namespace {

constexpr uint32_t kRowBytes = 16;

/// Whether the rows are aligned and lie before `end`. Sets their addresses.
template <class Base>
inline bool findRows(const Base *bases, uint64_t offset, uint32_t count, uint32_t end,
                     uint32_t *rows) {
  uint32_t most = end - kRowBytes - kSharedBase, unusual = 0;
  VGPU_LANES
  for (uint32_t lane = 0; lane < count; ++lane) {
    uint64_t address = static_cast<Base>(bases[lane] + offset) & ~kWindowMask;
    auto row = static_cast<uint32_t>(address);
    rows[lane] = row;
    unusual |= static_cast<uint32_t>(address >> 32) | (row & (kRowBytes - 1)) |
               static_cast<uint32_t>(row - kSharedBase > most);
  }
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

/// Operand 0 is the address. Whether the rows of the first `count` lanes are usual;
/// sets their addresses.
inline bool readUsualRows(Warp &warp, const Instruction &instruction, uint32_t count,
                          uint32_t *rows) {
  Block &block = warp.block;
  const MemoryForm &form = instruction.memory;
  if (!block.races || !block.races->shared || form.space != ptx::Space::Shared ||
      block.sharedEnd < kSharedBase + kRowBytes)
    return false;
  Operand base = instruction.operands[0];
  auto offset = static_cast<uint64_t>(instruction.immediate);
  bool areKnown = form.isAddress32
                      ? findRows(warp.lanes<uint32_t>(base), offset, count, block.sharedEnd, rows)
                      : findRows(warp.lanes<uint64_t>(base), offset, count, block.sharedEnd, rows);
  return areKnown && areWritten(block.sharedMarks.data(), rows, count) &&
         block.races->shared->touchRows({rows, count}, warp.index,
                                        static_cast<uint32_t>(instruction.source->line),
                                        block.races->clocks);
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
