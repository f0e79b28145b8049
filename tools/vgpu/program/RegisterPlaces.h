#pragma once
// Which registers of a frame share a place. Compilers name each value anew, and only
// some of the values that a warp has had fit into a cache.

#include "ptx/Syntax.h"

#include <cstdint>
#include <vector>

namespace vgpu {

struct RegisterPlaces {
  std::vector<int32_t> words; ///< of each register but predicates: where its lanes begin
  uint32_t definedBegin = 0;  ///< from here on, registers are written before they are read
  uint32_t end = 0;           ///< of all that are in use, in words
};

/// Registers that are never in use together share a place. What is read before it is
/// written, and what a wgmma may have in flight, have places of their own.
RegisterPlaces shareRegisters(const ptx::Function &function);

/// How many words the lanes of a register take.
uint32_t registerWords(ptx::Type type);

} // namespace vgpu
