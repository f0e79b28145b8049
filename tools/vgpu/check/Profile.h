#pragma once
// How often each instruction of a program was executed, and what it did to memory.

#include "program/Program.h"

#include <utility>
#include <vector>

namespace vgpu {

struct InstructionCounts {
  uint64_t issues = 0;                          ///< by warps
  uint64_t lanes = 0;                           ///< that executed it
  uint64_t divergent = 0;                       ///< issues at which lanes went apart
  uint64_t requests = 0;                        ///< of global memory, by warps
  uint64_t sectors = 0;                         ///< of 32 bytes that the requests touched
  uint64_t wavefronts = 0, leastWavefronts = 0; ///< of shared memory
  uint64_t globalBytes = 0;                     ///< moved by bulk copies
};

class Profile {
public:
  explicit Profile(const Program &program) {
    for (const auto &function : program.functions)
      functions.emplace_back(function.get(), std::vector<InstructionCounts>(function->code.size()));
  }
  /// One for each instruction.
  InstructionCounts *of(const Function &function) {
    for (auto &[known, counts] : functions)
      if (known == &function)
        return counts.data();
    return nullptr;
  }

  std::vector<std::pair<const Function *, std::vector<InstructionCounts>>> functions;
};

} // namespace vgpu
