#pragma once
// The matrix descriptor of wgmma: where the rows of core matrices lie in shared
// memory. A core matrix is 8 rows of 16 bytes. Along K, an instruction always
// takes 32 bytes of a row.

#include "memory/Swizzle.h"

#include <string>

namespace vgpu::tensor {

struct MatrixDescriptor {
  uint32_t start = 0, leading = 0, stride = 0; ///< bytes
  uint32_t baseOffset = 0;
  Swizzle swizzle = Swizzle::None;

  /// Bits 0–13: start / 16; 16–29: leading / 16; 32–45: stride / 16; 49–51: base
  /// offset; 62–63: swizzle (1: 128, 2: 64, 3: 32 bytes).
  static MatrixDescriptor decode(uint64_t bits);
  uint64_t encode() const;

  /// K runs along the rows. The row of m or n number `row`, and the first or
  /// second unit of 16 bytes. `leading` lies between units without a swizzle;
  /// `stride` between blocks of 8 rows.
  uint32_t alongK(int row, int unit) const {
    uint32_t inBlock = static_cast<uint32_t>(row % 8), block = static_cast<uint32_t>(row / 8);
    uint32_t unitBytes = swizzle == Swizzle::None ? leading : 16;
    return place(block * stride + inBlock * spanOf(swizzle) +
                 static_cast<uint32_t>(unit) * unitBytes);
  }

  /// M or N runs along the rows. The row of k, and the unit of 8 elements of m
  /// or n. With a swizzle, `leading` lies between spans and `stride` between
  /// blocks of 8 k; without one, `stride` between units and `leading` between
  /// blocks of 8 k.
  uint32_t acrossK(int k, int unit) const {
    uint32_t inBlock = static_cast<uint32_t>(k % 8), block = static_cast<uint32_t>(k / 8);
    auto number = static_cast<uint32_t>(unit);
    if (swizzle == Swizzle::None)
      return place(number * stride + block * leading + inBlock * 16);
    uint32_t units = spanOf(swizzle) / 16;
    return place(number / units * leading + number % units * 16 + block * stride +
                 inBlock * spanOf(swizzle));
  }

private:
  uint32_t place(uint32_t offset) const { return swizzled(swizzle, start + offset, baseOffset); }
};

/// What is wrong with the bits, in words; empty for a good descriptor.
std::string whyInvalidDescriptor(uint64_t bits);

} // namespace vgpu::tensor
