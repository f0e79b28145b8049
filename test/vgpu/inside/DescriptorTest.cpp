// Matrix descriptors of wgmma lead to the rows of core matrices, for every
// swizzle and for both ways a matrix can lie. The wanted addresses are the
// canonical layouts, in units of 16 bytes T:
//   along K:  none ((8,m),2):((1,SBO),LBO)   span S ((8,m),2):((S,SBO),1)
//   across K: none ((1,m),(8,k)):((X,SBO),(1,LBO))
//             span S ((S,m),(8,k)):((1,LBO),(S,SBO))
#include "tensor/Descriptor.h"

#include <gtest/gtest.h>

namespace {

using namespace vgpu;
using namespace vgpu::tensor;

MatrixDescriptor descriptorOf(Swizzle swizzle) {
  MatrixDescriptor descriptor;
  descriptor.start = 0x4000;
  descriptor.leading = 0x2800;
  descriptor.stride = 0x0c00;
  descriptor.swizzle = swizzle;
  return descriptor;
}

constexpr Swizzle kModes[] = {Swizzle::None, Swizzle::Bytes32, Swizzle::Bytes64, Swizzle::Bytes128};

TEST(Descriptor, AlongKEveryRowIsWhereTheLayoutSays) {
  for (Swizzle mode : kModes) {
    MatrixDescriptor descriptor = descriptorOf(mode);
    uint32_t span = spanOf(mode);
    for (int row = 0; row < 64; ++row)
      for (int unit = 0; unit < 2; ++unit) {
        uint32_t linear =
            row % 8 * span + row / 8 * 0x0c00u + unit * (mode == Swizzle::None ? 0x2800u : 16u);
        EXPECT_EQ(descriptor.alongK(row, unit), swizzled(mode, 0x4000 + linear))
            << int(mode) << " row " << row << " unit " << unit;
      }
  }
}

TEST(Descriptor, AcrossKEveryRowIsWhereTheLayoutSays) {
  for (Swizzle mode : kModes) {
    MatrixDescriptor descriptor = descriptorOf(mode);
    uint32_t span = spanOf(mode), units = span / 16;
    for (int k = 0; k < 16; ++k)
      for (uint32_t unit = 0; unit < 32; ++unit) {
        uint32_t linear = mode == Swizzle::None ? unit * 0x0c00u + k % 8 * 16u + k / 8 * 0x2800u
                                                : unit % units * 16 + unit / units * 0x2800u +
                                                      k % 8 * span + k / 8 * 0x0c00u;
        EXPECT_EQ(descriptor.acrossK(k, static_cast<int>(unit)), swizzled(mode, 0x4000 + linear))
            << int(mode) << " k " << k << " unit " << unit;
      }
  }
}

// Golden: the first rows of a 128-byte tile, as bytes from its start.
TEST(Descriptor, GoldenRowsOf128Bytes) {
  MatrixDescriptor descriptor;
  descriptor.start = 1024;
  descriptor.stride = 1024;
  descriptor.swizzle = Swizzle::Bytes128;
  const uint32_t wanted[4][2] = {{0, 16}, {144, 128}, {288, 304}, {432, 416}};
  for (int row = 0; row < 4; ++row)
    for (int unit = 0; unit < 2; ++unit)
      EXPECT_EQ(descriptor.alongK(row, unit) - 1024, wanted[row][unit]) << row << " " << unit;
  descriptor.start += 32; // the next 16 elements of k
  const uint32_t next[4][2] = {{32, 48}, {176, 160}, {256, 272}, {400, 384}};
  for (int row = 0; row < 4; ++row)
    for (int unit = 0; unit < 2; ++unit)
      EXPECT_EQ(descriptor.alongK(row, unit) - 1024, next[row][unit]) << row << " " << unit;
}

// A base offset moves the line where the pattern starts.
TEST(Descriptor, BaseOffsetMovesThePattern) {
  MatrixDescriptor descriptor;
  descriptor.start = 1024 + 3 * 128;
  descriptor.stride = 1024;
  descriptor.swizzle = Swizzle::Bytes128;
  descriptor.baseOffset = 3;
  for (int row = 0; row < 5; ++row)
    EXPECT_EQ(descriptor.alongK(row, 0), descriptor.start + row * 128 + row * 16);
}

TEST(Descriptor, BitsAreTheManuals) {
  for (Swizzle mode : kModes) {
    MatrixDescriptor descriptor = descriptorOf(mode);
    uint64_t number = mode == Swizzle::None ? 0 : 4 - static_cast<uint64_t>(mode);
    uint64_t bits = 0x400 | 0x280ull << 16 | 0x0c0ull << 32 | number << 62;
    EXPECT_EQ(descriptor.encode(), bits);
    MatrixDescriptor back = MatrixDescriptor::decode(bits);
    EXPECT_EQ(back.start, descriptor.start);
    EXPECT_EQ(back.leading, descriptor.leading);
    EXPECT_EQ(back.stride, descriptor.stride);
    EXPECT_EQ(back.swizzle, mode);
    EXPECT_EQ(whyInvalidDescriptor(bits), "");
  }
}

TEST(Descriptor, ReservedBitsMustBeZero) {
  for (int bit : {14, 15, 30, 31, 46, 47, 48, 52, 61})
    EXPECT_NE(whyInvalidDescriptor(uint64_t{1} << bit), "") << bit;
  EXPECT_NE(whyInvalidDescriptor(uint64_t{1} << 49), "");
  EXPECT_EQ(whyInvalidDescriptor(uint64_t{1} << 49 | uint64_t{1} << 62), "");
}

} // namespace
