// The check of tensor cores passes where sums depend on their row and column
// alone, and fails where they depend on anything else.
#include "tools/moec/selfcheck/PlacesCheck.h"
#include "gtest/gtest.h"

#include <bit>
#include <cmath>

using namespace moec::tools;
using moec::runtime::Status;

namespace {

constexpr int kRows = 16, kColumns = 32, kDepth = 16;

float toFloat(uint16_t bf16) { return std::bit_cast<float>(uint32_t(bf16) << 16); }

/// The element's sum, from the k that is `first` on, in f32.
float sum(const Tile &tile, int row, int column, int first = 0) {
  float result = tile.c[row][column];
  for (int k = 0; k < kDepth; ++k)
    result = std::fma(toFloat(tile.a[row][(k + first) % kDepth]),
                      toFloat(tile.b[column][(k + first) % kDepth]), result);
  return result;
}

/// Fills d by element(tile, row, column), and says what the check says.
Status check(float (*element)(const Tile &, int, int), int64_t *compared = nullptr) {
  Multiply multiply = [=](const Tile &tile, Rows<float> &d) {
    for (int row = 0; row < tile.rows; ++row)
      for (int column = 0; column < tile.columns; ++column)
        d[row][column] = element(tile, row, column);
    return Status();
  };
  PlacesCheck check(kBf16, multiply, /*hasC=*/true);
  if (Status error = check.begin(kRows, kColumns, kDepth))
    return error;
  for (int columns = 8; columns <= kColumns; columns += 8)
    for (bool withPoison : {false, true})
      if (Status error = check.repeat(columns, withPoison))
        return error;
  if (compared)
    *compared = check.compared();
  return {};
}

TEST(PlacesCheck, PassesWhereSumsAreAlike) {
  int64_t compared = 0;
  Status status = check([](const Tile &tile, int i, int j) { return sum(tile, i, j); }, &compared);
  EXPECT_FALSE(status) << status.message();
  EXPECT_GT(compared, kRows * (8 + 16 + 24 + 32));
}

TEST(PlacesCheck, FailsWhereTheColumnsPlaceMatters) {
  EXPECT_TRUE(check([](const Tile &tile, int i, int j) { return sum(tile, i, j, j == 5); }));
}

TEST(PlacesCheck, FailsWhereTheRowsPlaceMatters) {
  EXPECT_TRUE(check([](const Tile &tile, int i, int j) { return sum(tile, i, j, i == 11); }));
}

TEST(PlacesCheck, FailsWhereTheNumberOfColumnsMatters) {
  EXPECT_TRUE(
      check([](const Tile &tile, int i, int j) { return sum(tile, i, j, tile.columns == 24); }));
}

// Zero times a neighbour is zero, unless that is no number.
TEST(PlacesCheck, FailsWhereOthersMatter) {
  EXPECT_TRUE(check([](const Tile &tile, int i, int j) {
    return sum(tile, i, j) + 0 * toFloat(tile.b[(j + 1) % tile.columns][0]);
  }));
}

TEST(PlacesCheck, FailsWhereProductsAreWrong) {
  Status status = check([](const Tile &tile, int i, int j) { return sum(tile, i, j) * 1.001f; });
  EXPECT_NE(status.message().find("is right"), std::string::npos) << status.message();
}

} // namespace
