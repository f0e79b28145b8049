#pragma once
#include "ptx/Syntax.h"

namespace vgpu {

/// What an instruction needs that the module's .version and .target do not give,
/// in words; empty if nothing.
std::string missingFor(const ptx::Instruction &instruction, const ptx::Module &module);

} // namespace vgpu
