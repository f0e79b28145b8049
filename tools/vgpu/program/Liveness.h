#pragma once
// From where to where registers of a function are in use.

#include "ptx/Syntax.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace vgpu {

/// Of a register: the instructions from the first to the last that mention it, or
/// between which it holds what is read later. Whoever reads it before writing it has it
/// in use from the beginning.
struct LiveRange {
  uint32_t begin = std::numeric_limits<uint32_t>::max(), end = 0;

  bool isEmpty() const { return begin > end; }
  void add(uint32_t instruction) {
    begin = std::min(begin, instruction);
    end = std::max(end, instruction);
  }
};

/// By the number of the register; those of predicates are empty.
std::vector<LiveRange> liveRanges(const ptx::Function &function);

} // namespace vgpu
