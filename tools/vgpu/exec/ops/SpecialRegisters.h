#pragma once
#include "program/Decoding.h"

#ifndef VGPU_VARIANT
#define VGPU_VARIANT baseline
#endif

namespace vgpu::VGPU_VARIANT {

/// For a read of a special register, the last operand: sets its number; the
/// caller sets the type and the destination.
Handler selectSpecialRegister(Decoding &decoding);

} // namespace vgpu::VGPU_VARIANT
