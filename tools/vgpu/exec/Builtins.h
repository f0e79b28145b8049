#pragma once
// The functions that the system gives to kernels.

#include "exec/Block.h"

#include <optional>

namespace vgpu {

enum class Builtin : uint8_t { Printf, Malloc, Free, AssertFail };

std::optional<Builtin> builtinNamed(std::string_view name);

/// Calls it lane by lane. The instruction's list holds the words of the result,
/// then of the arguments.
void callBuiltin(Builtin builtin, Warp &warp, const Instruction &instruction, LaneMask lanes);

} // namespace vgpu
