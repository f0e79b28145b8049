// Tensor maps keep what they are told, reject what the driver rejects, and give
// the rows of a box with what lies outside of the tensor.
#include "async/TensorMap.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace {

using namespace vgpu;

TensorMap matrix() {
  TensorMap map;
  map.element = TensorMap::Element::BF16;
  map.rank = 2;
  map.address = 0x1000;
  map.size = {100, 50};
  map.stride = {2, 256};
  map.box = {64, 8};
  map.elementStride = {1, 1};
  map.swizzle = Swizzle::Bytes128;
  return map;
}

TEST(TensorMap, BytesKeepEverythingAndSayNothing) {
  TensorMap map = matrix();
  map.size[1] = uint64_t{1} << 32;
  map.fillsWithNan = true;
  uint8_t bytes[TensorMap::kBytes];
  map.encode(bytes);
  std::optional<TensorMap> back = TensorMap::decode(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->element, map.element);
  EXPECT_EQ(back->rank, 2);
  EXPECT_EQ(back->address, map.address);
  EXPECT_EQ(back->size, map.size);
  EXPECT_EQ(back->stride, map.stride);
  EXPECT_EQ(back->box, map.box);
  EXPECT_EQ(back->elementStride, map.elementStride);
  EXPECT_EQ(back->swizzle, map.swizzle);
  EXPECT_TRUE(back->fillsWithNan);
  EXPECT_EQ(back->mode, TensorMap::Mode::Tile);
  for (size_t byte : {size_t{8}, size_t{60}}) {
    bytes[byte] ^= 1;
    EXPECT_FALSE(TensorMap::decode(bytes));
    bytes[byte] ^= 1;
  }
}

TEST(TensorMap, RejectsWhatTheDriverRejects) {
  auto why = [](auto change) {
    TensorMap map = matrix();
    change(map);
    return map.whyInvalid();
  };
  EXPECT_EQ(why([](TensorMap &) {}), "");
  EXPECT_EQ(why([](TensorMap &map) { map.address += 8; }),
            "the global address is no multiple of 16");
  EXPECT_EQ(why([](TensorMap &map) { map.size[1] = 0; }),
            "the size of dimension 1 is 0, outside of 1 to 2^32");
  EXPECT_EQ(why([](TensorMap &map) { map.stride[1] = 200; }),
            "the stride of dimension 1 is 200 bytes, but must be a multiple of 16 below 2^40");
  EXPECT_EQ(why([](TensorMap &map) { map.box[1] = 257; }),
            "the box is 257 of dimension 1, outside of 1 to 256");
  EXPECT_EQ(why([](TensorMap &map) { map.elementStride[1] = 9; }),
            "the element stride of dimension 1 is 9, outside of 1 to 8");
  EXPECT_EQ(why([](TensorMap &map) { map.box[0] = 12; }),
            "the inner dimension of the box has 24 bytes, no multiple of 16");
  EXPECT_EQ(why([](TensorMap &map) { map.swizzle = Swizzle::Bytes64; }),
            "the inner dimension of the box has 128 bytes, more than the 64 of the swizzle");
  EXPECT_EQ(why([](TensorMap &map) {
              map.element = TensorMap::Element::U16;
              map.fillsWithNan = true;
            }),
            "only floating-point tensors can be filled with NaN");
}

std::vector<BoxRow> rowsOf(const TensorMap &map, const TensorMap::Coordinates &corner) {
  std::vector<BoxRow> rows;
  forBoxRows(map, corner, [&](const BoxRow &row) { rows.push_back(row); });
  return rows;
}

// Of a box at (80, 46): 20 of 64 columns and 4 of 8 rows are inside.
TEST(TensorMap, RowsKnowWhatIsOutside) {
  std::vector<BoxRow> rows = rowsOf(matrix(), {80, 46});
  ASSERT_EQ(rows.size(), 8u);
  EXPECT_EQ(rows[0].address, 0x1000u + 46 * 256 + 160);
  EXPECT_EQ(rows[0].validBegin, 0u);
  EXPECT_EQ(rows[0].validEnd, 40u);
  EXPECT_EQ(rows[3].offset, 3 * 128u);
  EXPECT_EQ(rows[3].validEnd, 40u);
  EXPECT_EQ(rows[4].validEnd, 0u);
}

TEST(TensorMap, CornersMayBeNegative) {
  std::vector<BoxRow> rows = rowsOf(matrix(), {-10, -1});
  EXPECT_EQ(rows[0].validEnd, 0u);
  EXPECT_EQ(rows[1].address, 0x1000u);
  EXPECT_EQ(rows[1].validBegin, 20u);
  EXPECT_EQ(rows[1].validEnd, 128u);
}

TEST(TensorMap, ElementStridesThinTheBox) {
  TensorMap map = matrix();
  map.elementStride[1] = 3;
  EXPECT_EQ(map.boxBytes(), 3 * 128u);
  std::vector<BoxRow> rows = rowsOf(map, {0, 0});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[2].address, 0x1000u + 6 * 256);
}

/// Images of 6 × 4 pixels, of which a column takes 5.
TensorMap images() {
  TensorMap map;
  map.element = TensorMap::Element::F32;
  map.mode = TensorMap::Mode::Im2col;
  map.rank = 4;
  map.address = 0x1000;
  map.size = {4, 6, 4, 3};
  map.stride = {4, 16, 96, 384};
  map.box = {4};
  map.elementStride = {1, 2, 1, 1};
  map.pixels = 5;
  map.lowerCorner = {0, -1, -1};
  map.upperCorner = {0, -2, 0};
  return map;
}

TEST(TensorMap, BytesKeepColumnsOfPixels) {
  TensorMap map = images();
  EXPECT_EQ(map.whyInvalid(), "");
  EXPECT_EQ(map.boxBytes(), 5 * 16u);
  uint8_t bytes[TensorMap::kBytes];
  map.encode(bytes);
  std::optional<TensorMap> back = TensorMap::decode(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->mode, TensorMap::Mode::Im2col);
  EXPECT_EQ(back->pixels, 5u);
  EXPECT_EQ(back->lowerCorner, map.lowerCorner);
  EXPECT_EQ(back->upperCorner, map.upperCorner);
}

// Every other pixel from -1 to 3 along the width, and then the next row, which is the
// first of the next image.
TEST(TensorMap, PixelsGoOnInTheNextImage) {
  TensorMap map = images();
  EXPECT_TRUE(map.isInBoundingBox({0, 3, 3, 0}));
  EXPECT_FALSE(map.isInBoundingBox({0, 4, 3, 0}));
  std::vector<BoxRow> rows;
  forPixels(map, {0, 1, 3, 0}, {0, 1, 1}, [&](const BoxRow &row) { rows.push_back(row); });
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].validEnd, 0u); // row 4 of 4
  EXPECT_EQ(rows[2].address, 0x1000u + 384);
  EXPECT_EQ(rows[3].address, 0x1000u + 384 + 2 * 16);
  EXPECT_EQ(rows[4].address, 0x1000u + 384 + 4 * 16);
  EXPECT_EQ(rows[4].validEnd, 16u);
  EXPECT_EQ(rows[4].offset, 4 * 16u);
}

// Row r of a tile that begins where the pattern does has its units xored with r,
// r / 2 or r / 4: as the figures of the CUDA guide show.
TEST(Swizzle, IsTheGuides) {
  for (uint32_t row = 0; row < 8; ++row)
    for (uint32_t unit = 0; unit < 8; ++unit)
      EXPECT_EQ(swizzled(Swizzle::Bytes128, row * 128 + unit * 16), row * 128 + (unit ^ row) * 16);
  for (uint32_t row = 0; row < 8; ++row)
    for (uint32_t unit = 0; unit < 4; ++unit)
      EXPECT_EQ(swizzled(Swizzle::Bytes64, row * 64 + unit * 16), row * 64 + (unit ^ row / 2) * 16);
  for (uint32_t row = 0; row < 8; ++row)
    for (uint32_t unit = 0; unit < 2; ++unit)
      EXPECT_EQ(swizzled(Swizzle::Bytes32, row * 32 + unit * 16), row * 32 + (unit ^ row / 4) * 16);
  EXPECT_EQ(swizzled(Swizzle::None, 0x1234), 0x1234u);
}

// Every mode is a permutation of its pattern.
TEST(Swizzle, IsAPermutation) {
  for (Swizzle mode : {Swizzle::Bytes32, Swizzle::Bytes64, Swizzle::Bytes128}) {
    std::set<uint32_t> seen;
    for (uint32_t address = 0; address < patternOf(mode); ++address)
      seen.insert(swizzled(mode, address));
    EXPECT_EQ(seen.size(), patternOf(mode));
    EXPECT_LT(*seen.rbegin(), patternOf(mode));
  }
}

} // namespace
