#pragma once
// What registers an instruction reads and writes: to know from where to where they are
// in use, also by asynchronous operations.

#include "ptx/Syntax.h"

#include <cstdint>
#include <vector>

namespace vgpu {

struct RegisterUse {
  enum class Kind : uint8_t {
    Ordinary,
    Move,     ///< from register to register
    Constant, ///< from a constant to a register
    Wgmma,    ///< checks its registers itself
  };
  Kind kind = Kind::Ordinary;
  std::vector<int32_t> reads, writes; ///< words of the frame; predicates left out
};

/// `words` says where each register of the function lives.
RegisterUse registerUse(const ptx::Instruction &instruction, const ptx::Function &function,
                        const std::vector<int32_t> &words);

/// The registers of a function, by number, that a wgmma may have in flight: its
/// accumulators, those of A, and what `mov` connects with them.
std::vector<bool> warpgroupRegisters(const ptx::Function &function);

} // namespace vgpu
