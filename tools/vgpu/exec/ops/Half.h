#pragma once
// 16-bit floats, and arithmetic that is rounded once.

#include <bit>
#include <cmath>
#include <cstdint>

#ifndef VGPU_VARIANT
#define VGPU_VARIANT baseline
#endif

namespace vgpu::VGPU_VARIANT {
namespace {

/// IEEE binary16.
struct Half {
  uint16_t bits;
  static constexpr uint16_t kNan = 0x7fff;
  static constexpr int kMantissaBits = 10;
};

/// bfloat16: the high half of a binary32.
struct Bfloat {
  uint16_t bits;
  static constexpr uint16_t kNan = 0x7fff;
  static constexpr int kMantissaBits = 7;
};

inline float toFloat(Half value) { return static_cast<float>(std::bit_cast<_Float16>(value.bits)); }
inline float toFloat(Bfloat value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }
inline float toFloat(float value) { return value; }

template <class T> T fromFloat(float value);
template <> inline float fromFloat<float>(float value) { return value; }
template <> inline Half fromFloat<Half>(float value) {
  if (value != value)
    return {Half::kNan};
  return {std::bit_cast<uint16_t>(static_cast<_Float16>(value))};
}
template <> inline Bfloat fromFloat<Bfloat>(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  bits += 0x7fff + (bits >> 16 & 1); // to the nearest, ties to even
  return {value != value ? Bfloat::kNan : static_cast<uint16_t>(bits >> 16)};
}

/// a × b + c in double, with a last bit that tells of everything lost (rounding
/// to odd), so that rounding again to a narrower type rounds only once. The
/// product of two values of at most 24 bits is exact.
inline double fmaToOdd(double a, double b, double c) {
  double product = a * b;
  double sum = product + c;
  if (!std::isfinite(sum))
    return sum;
  double back = sum - product; // Knuth's exact error of the sum
  double error = (product - (sum - back)) + (c - back);
  uint64_t bits = std::bit_cast<uint64_t>(sum);
  if (error != 0 && !(bits & 1))
    bits += (error > 0) == (sum > 0) ? 1 : -1;
  return std::bit_cast<double>(bits);
}

/// Rounds a double, itself rounded to odd, to a float that is rounded to odd.
inline float toFloatOdd(double value) {
  float result = static_cast<float>(value);
  if (!std::isfinite(result) || static_cast<double>(result) == value)
    return result;
  uint32_t bits = std::bit_cast<uint32_t>(result);
  bool isAbove = std::abs(static_cast<double>(result)) > std::abs(value);
  bits -= isAbove; // truncated
  return std::bit_cast<float>(bits | 1);
}

template <class T> T fusedMultiplyAdd(T a, T b, T c) {
  return fromFloat<T>(toFloatOdd(fmaToOdd(toFloat(a), toFloat(b), toFloat(c))));
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
