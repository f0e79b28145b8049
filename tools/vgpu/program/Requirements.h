#pragma once
#include "ptx/Syntax.h"

namespace vgpu {

/// The number of a module's target: of "sm_90a", 90.
int chipOf(const ptx::Module &module);

/// What an instruction needs that the module's .version and .target do not give,
/// in words; empty if nothing.
std::string missingFor(const ptx::Instruction &instruction, const ptx::Module &module);

} // namespace vgpu
