#pragma once
#include "program/Decoding.h"

namespace vgpu {

/// The handlers for the best instruction set that this processor has.
const SelectorTable &selectors();

} // namespace vgpu
