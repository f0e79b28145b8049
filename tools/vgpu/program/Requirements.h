#pragma once
#include "ptx/Syntax.h"

namespace vgpu {

/// What has something first.
struct Since {
  int chip = 0;
  int version = 0;      ///< of PTX: 10 × major + minor
  bool isExact = false; ///< only the chip's own `a` target
};

/// What is needed that the module's .version and .target do not give, in words; empty
/// if nothing.
std::string missingFor(const Since &needed, const ptx::Module &module);
/// The same for an instruction, and for the target itself.
std::string missingFor(const ptx::Instruction &instruction, const ptx::Module &module);
std::string missingForTarget(const ptx::Module &module);

} // namespace vgpu
