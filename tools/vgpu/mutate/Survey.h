#pragma once
// Where mistakes in a kernel would make a difference: one run tells it of all.

#include "mutate/Mutants.h"

namespace vgpu {

/// The kernel as it is, but a thread executes the mark number i where mutants[i]
/// does something else. The mutants are in the order of their instructions.
ptx::Function surveyOf(const ptx::Function &kernel, const std::vector<const Mutant *> &mutants);

} // namespace vgpu
