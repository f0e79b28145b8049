#include "lib/weights/Quantize.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace llvm;

namespace moec {
namespace {

constexpr StringLiteral kNames[] = {"f32", "f16", "bf16", "int8", "int4", "int2"};
constexpr int64_t kBits[] = {32, 16, 16, 8, 4, 2};

double squaredError(ArrayRef<float> values, float scale, WeightType type) {
  double error = 0;
  for (float value : values) {
    float zero = static_cast<float>(defaultZero(type));
    float difference = value - (static_cast<float>(quantise(value, scale, type)) - zero) * scale;
    error += difference * difference;
  }
  return error;
}

} // namespace

StringRef nameOf(WeightType type) { return kNames[static_cast<int>(type)]; }

WeightType weightTypeOf(StringRef name) {
  return static_cast<WeightType>(find(kNames, name) - std::begin(kNames));
}

int64_t bitsOf(WeightType type) { return kBits[static_cast<int>(type)]; }

Quantisation quantisationOf(WeightType type) {
  if (type == WeightType::int8)
    return {0, WeightType::f32};
  return {32, WeightType::f16};
}

Expected<float> chooseScale(ArrayRef<float> values, WeightType type) {
  float extreme = 0;
  for (float value : values) {
    if (!std::isfinite(value))
      return createStringError("a weight that is not finite cannot be quantised");
    if (std::abs(value) > std::abs(extreme))
      extreme = value;
  }
  if (type == WeightType::int8)
    return std::abs(extreme) / 127;
  // The extreme may be the lowest integer, which has no positive counterpart,
  // and may be cut off for the sake of the others.
  constexpr int kCandidates = 12;
  float lowest = static_cast<float>(-defaultZero(type));
  float best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kCandidates; ++i) {
    float scale = extreme / (lowest * (0.875f + 0.03125f * static_cast<float>(i)));
    scale = fromHalf(toHalf(scale));
    if (!std::isfinite(scale))
      continue;
    double error = squaredError(values, scale, type);
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  if (std::isinf(least))
    return createStringError("a weight of %g is too large for a scale of 16 bits", extreme);
  return best;
}

uint8_t quantise(float value, float scale, WeightType type) {
  float zero = static_cast<float>(defaultZero(type));
  if (scale == 0)
    return static_cast<uint8_t>(zero);
  float q = std::nearbyint(value / scale) + zero;
  // Symmetric quantisation to 8 bits leaves the lowest integer out.
  float lowest = type == WeightType::int8 ? 1.0f : 0.0f;
  return static_cast<uint8_t>(std::clamp(q, lowest, 2 * zero - 1));
}

uint16_t toHalf(float value) {
  uint32_t bits = bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffff;
  uint32_t sign = bits >> 16 & 0x8000, half;
  if (magnitude > 0x7f800000) // NaN
    half = 0x7e00 | (magnitude >> 13 & 0x1ff);
  else if (magnitude >= bit_cast<uint32_t>(65536.0f))
    half = 0x7c00;
  else if (magnitude < bit_cast<uint32_t>(0x1p-14f)) // 0.5f has the unit of subnormal halves
    half = bit_cast<uint32_t>(bit_cast<float>(magnitude) + 0.5f) - bit_cast<uint32_t>(0.5f);
  else
    half = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
  return static_cast<uint16_t>(sign | half);
}

uint16_t toBfloat(float value) {
  uint32_t bits = bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float fromHalf(uint16_t bits) {
  // Scaling by a power of two makes subnormal halves normal, exactly.
  float magnitude = bit_cast<float>(uint32_t(bits & 0x7fff) << 13) * 0x1p112f;
  uint32_t result = bit_cast<uint32_t>(magnitude);
  if ((bits & 0x7c00) == 0x7c00)
    result |= 0x7f800000;
  return bit_cast<float>(result | uint32_t(bits & 0x8000) << 16);
}

float fromBfloat(uint16_t bits) { return bit_cast<float>(uint32_t(bits) << 16); }

} // namespace moec
