#pragma once
// Which registers of a frame share a place. Compilers name each value anew, and only
// some of the values that a warp has had fit into a cache.

#include "ptx/Syntax.h"

#include <cstdint>
#include <vector>

namespace vgpu {

struct RegisterPlaces {
  std::vector<int32_t> words; ///< of each register but predicates: where its lanes begin
  uint32_t end = 0;           ///< of all that are in use, in words
};

/// Registers that are never in use together share a place. What is read before it is
/// written has one that nobody had before.
RegisterPlaces shareRegisters(const ptx::Function &function);

/// How many words the lanes of a register take.
uint32_t registerWords(ptx::Type type);

} // namespace vgpu
