#pragma once
// What the families of floating-point instructions share.

#include "exec/ops/Half.h"
#include "exec/ops/Lanes.h"

namespace vgpu::VGPU_VARIANT {

/// add, sub, mul, fma, div, rcp and sqrt with .rz, .rm or .rp; null for others.
Handler selectDirected(Decoding &decoding);
/// ex2, lg2, sin, cos, tanh, rsqrt, and sqrt and rcp with .approx.
Handler selectSpecial(Decoding &decoding);
Handler selectApproximateDivision(Decoding &decoding);
/// min, max, neg, abs.
Handler selectFloatSign(Decoding &decoding);
void addSpecial(SelectorTable &table);
void addFloatSign(SelectorTable &table); ///< copysign, testp

namespace {

/// Denormals become zeros of the same sign.
inline float flushed(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>(bits & 0x7f800000 ? bits : bits & 0x80000000);
}
inline Half flushed(Half value) {
  return {static_cast<uint16_t>(value.bits & 0x7c00 ? value.bits : value.bits & 0x8000)};
}
inline Bfloat flushed(Bfloat value) {
  return {static_cast<uint16_t>(value.bits & 0x7f80 ? value.bits : value.bits & 0x8000)};
}

/// To [0, 1]; what is no number becomes 0.
inline float saturated(float value) { return value > 0 ? (value < 1 ? value : 1) : 0; }
inline double saturated(double value) { return value > 0 ? (value < 1 ? value : 1) : 0; }

/// The machine has one NaN.
inline float canonical(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits & 0x7fffffff) > 0x7f800000 ? 0x7fffffff : bits);
}

inline InstructionClass classOf(ptx::Type type) {
  switch (type) {
  case ptx::Type::F32:
    return InstructionClass::Float;
  case ptx::Type::F64:
    return InstructionClass::Double;
  default:
    return InstructionClass::Half;
  }
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
