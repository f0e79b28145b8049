//===- Quantize.h - floats as few bits ------------------------------------===//
#pragma once

#include "lib/weights/PackedLayout.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace moec {

/// How floats become `type`: the columns that share a scale (0: a row), and
/// the type of scales. Zero points are the default: quantisation is symmetric.
struct Quantisation {
  int64_t block;
  WeightType scale;
};
Quantisation quantisationOf(WeightType type);

/// The scale for values that share one. Of 8 bits the largest magnitude
/// becomes 127; of fewer the scale has the least squared error among some,
/// after it was rounded to its own type. Fails on values that are not finite.
llvm::Expected<float> chooseScale(llvm::ArrayRef<float> values, WeightType type);

/// The integer nearest to value / scale + zero.
uint8_t quantise(float value, float scale, WeightType type);

/// The bits of a value in a type of 16 bits, rounded to nearest, ties to even.
uint16_t toHalf(float value);
uint16_t toBfloat(float value);
float fromHalf(uint16_t bits);
float fromBfloat(uint16_t bits);

} // namespace moec
