#pragma once
// Number formats of the operands of tensor cores.

#include <cstdint>
#include <optional>
#include <string_view>

namespace vgpu::tensor {

enum class Format : uint8_t { F16, BF16, TF32, E4M3, E5M2, F64, S8, U8, S4, U4, B1, F32, S32 };

constexpr int bitsOf(Format format) {
  switch (format) {
  case Format::F16:
  case Format::BF16:
    return 16;
  case Format::E4M3:
  case Format::E5M2:
  case Format::S8:
  case Format::U8:
    return 8;
  case Format::S4:
  case Format::U4:
    return 4;
  case Format::B1:
    return 1;
  case Format::F64:
    return 64;
  case Format::TF32:
  case Format::F32:
  case Format::S32:
    return 32;
  }
  return 0;
}

/// Elements in a 32-bit register; a 64-bit element takes a register of its own.
constexpr int packOf(Format format) { return bitsOf(format) >= 32 ? 1 : 32 / bitsOf(format); }

constexpr bool isInteger(Format format) {
  switch (format) {
  case Format::S8:
  case Format::U8:
  case Format::S4:
  case Format::U4:
  case Format::B1:
  case Format::S32:
    return true;
  default:
    return false;
  }
}

constexpr bool isFp8(Format format) { return format == Format::E4M3 || format == Format::E5M2; }

/// The format that a modifier such as "bf16" names.
inline std::optional<Format> formatNamed(std::string_view name) {
  constexpr std::pair<std::string_view, Format> names[] = {
      {"f16", Format::F16},   {"bf16", Format::BF16}, {"tf32", Format::TF32},
      {"e4m3", Format::E4M3}, {"e5m2", Format::E5M2}, {"f64", Format::F64},
      {"s8", Format::S8},     {"u8", Format::U8},     {"s4", Format::S4},
      {"u4", Format::U4},     {"b1", Format::B1},     {"f32", Format::F32},
      {"s32", Format::S32}};
  for (auto [known, format] : names)
    if (known == name)
      return format;
  return std::nullopt;
}

} // namespace vgpu::tensor
