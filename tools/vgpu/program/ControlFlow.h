#pragma once
#include "program/Program.h"

namespace vgpu {

/// Sets `reconvergence` of every branch to the first instruction of its
/// immediate post-dominator: the earliest place that all lanes reach, however
/// they branch. Where lanes meet only by leaving, it is Function::kNever.
void findReconvergence(Function &function);

} // namespace vgpu
