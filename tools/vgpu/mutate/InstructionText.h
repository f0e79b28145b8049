#pragma once
#include "ptx/Syntax.h"

namespace vgpu {

/// An instruction as PTX. Registers are named by their kind alone, labels not at
/// all: the text of an instruction survives that a compiler numbers them anew.
std::string textOf(const ptx::Instruction &instruction, const ptx::Function &function);

} // namespace vgpu
