#pragma once
// Floating-point formats, and rounding to them from double.

#include <bit>
#include <cmath>
#include <cstdint>

#ifndef VGPU_VARIANT
#define VGPU_VARIANT baseline
#endif

namespace vgpu::VGPU_VARIANT {
namespace {

enum class RoundingMode : uint8_t { Nearest, NearestAway, Zero, Down, Up };

struct FloatFormat {
  int exponentBits, mantissaBits;
  bool hasInfinity;
  uint32_t nan;

  constexpr int bias() const { return (1 << (exponentBits - 1)) - 1; }
  constexpr uint32_t signBit() const { return 1u << (exponentBits + mantissaBits); }
  constexpr uint32_t infinity() const { return ((1u << exponentBits) - 1) << mantissaBits; }
  /// e4m3 uses all exponents; its largest mantissa there means NaN.
  constexpr uint32_t largest() const { return hasInfinity ? infinity() - 1 : nan - 1; }
};

constexpr FloatFormat kHalf{5, 10, true, 0x7fff};
constexpr FloatFormat kBfloat{8, 7, true, 0x7fff};
constexpr FloatFormat kSingle{8, 23, true, 0x7fffffff};
constexpr FloatFormat kTf32{8, 10, true, 0x3ffff}; // in its own 19 bits
constexpr FloatFormat kE4M3{4, 3, false, 0x7f};
constexpr FloatFormat kE5M2{5, 2, true, 0x7f};

/// Rounds a value that is not negative to an integer; `isNegative` is the sign
/// of what it stands for.
inline double roundSize(double size, RoundingMode mode, bool isNegative) {
  switch (mode) {
  case RoundingMode::Nearest:
    return std::nearbyint(size);
  case RoundingMode::NearestAway:
    return std::floor(size + 0.5);
  case RoundingMode::Zero:
    return std::floor(size);
  case RoundingMode::Down:
    return isNegative ? std::ceil(size) : std::floor(size);
  case RoundingMode::Up:
    return isNegative ? std::floor(size) : std::ceil(size);
  }
  return size;
}

/// The bits of `value` in `format`. `saturates`: the largest finite value
/// instead of infinity.
inline uint32_t encode(double value, const FloatFormat &format, RoundingMode mode, bool saturates) {
  if (value != value)
    return format.nan;
  bool isNegative = std::signbit(value);
  uint32_t sign = isNegative ? format.signBit() : 0;
  double size = std::abs(value);
  uint32_t overflow = saturates || !format.hasInfinity ? format.largest() : format.infinity();
  if (!format.hasInfinity && !saturates)
    overflow = format.nan;
  if (std::isinf(size))
    return sign | overflow;
  if (size == 0)
    return sign;
  int least = 1 - format.bias() - format.mantissaBits; // exponent of the smallest denormal
  int quantum = std::max(std::ilogb(size) - format.mantissaBits, least);
  double units = roundSize(std::ldexp(size, -quantum), mode, isNegative);
  uint64_t bits = (static_cast<uint64_t>(quantum - least) << format.mantissaBits) +
                  static_cast<uint64_t>(units);
  if (bits <= format.largest())
    return sign | static_cast<uint32_t>(bits);
  bool staysFinite = mode == RoundingMode::Zero || (mode == RoundingMode::Down && !isNegative) ||
                     (mode == RoundingMode::Up && isNegative);
  return sign | (staysFinite ? format.largest() : overflow);
}

/// The value of the bits, which is exact.
inline double decode(uint32_t bits, const FloatFormat &format) {
  double sign = bits & format.signBit() ? -1 : 1;
  uint32_t size = bits & (format.signBit() - 1);
  if (format.hasInfinity ? size > format.infinity() : size == format.nan)
    return NAN;
  if (format.hasInfinity && size == format.infinity())
    return sign * INFINITY;
  uint32_t exponent = size >> format.mantissaBits;
  uint32_t mantissa = size & ((1u << format.mantissaBits) - 1);
  int least = 1 - format.bias() - format.mantissaBits;
  if (exponent == 0)
    return sign * std::ldexp(mantissa, least);
  return sign *
         std::ldexp(mantissa | 1u << format.mantissaBits, least + static_cast<int>(exponent) - 1);
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
