#include "tools/moec/selfcheck/PlacesCheck.h"

#include <bit>
#include <cmath>

namespace moec::tools {

using runtime::failure;
using runtime::Status;

uint16_t Format::draw(std::mt19937 &random) const {
  uint32_t exponent = bias - 6 + random() % 13;
  uint32_t mantissa = random() & ((1u << mantissaBits) - 1);
  return static_cast<uint16_t>((random() & 1) << 15 | exponent << mantissaBits | mantissa);
}

uint16_t Format::drawPoison(std::mt19937 &random) const {
  uint32_t infinity = (2 * bias + 1) << mantissaBits;
  return static_cast<uint16_t>((random() & 1) << 15 | (infinity - 1 + random() % 3));
}

double Format::value(uint16_t bits) const {
  int exponent = (bits & 0x7fff) >> mantissaBits;
  int mantissa = (bits & ((1 << mantissaBits) - 1)) | 1 << mantissaBits;
  double magnitude = std::ldexp(mantissa, exponent - bias - mantissaBits);
  return bits & 0x8000 ? -magnitude : magnitude;
}

Status PlacesCheck::begin(int rows, int columns, int depth) {
  reference = std::make_unique<Tile>(rows, columns, depth);
  for (auto *operand : {&reference->a, &reference->b})
    for (uint16_t &bits : operand->data)
      bits = format.draw(random);
  std::normal_distribution<float> normal(0, 16);
  for (float &value : reference->c.data)
    value = hasC ? normal(random) : 0;
  product = std::make_unique<Rows<float>>(rows, columns);
  if (Status error = multiply(*reference, *product))
    return error;
  return compareWithExact();
}

Status PlacesCheck::repeat(int columns, bool withPoison) {
  Places places{drawPlaces(reference->rows, reference->rows, withPoison),
                drawPlaces(columns, reference->columns, withPoison)};
  Tile tile(reference->rows, columns, reference->a.length);
  fill(places.rows, reference->a, tile.a);
  fill(places.columns, reference->b, tile.b);
  for (int i = 0; i < tile.rows; ++i)
    for (int j = 0; j < columns; ++j)
      if (places.rows[i] >= 0 && places.columns[j] >= 0)
        tile.c[i][j] = reference->c[places.rows[i]][places.columns[j]];
  Rows<float> d(tile.rows, columns);
  if (Status error = multiply(tile, d))
    return error;
  return compare(places, d);
}

/// Those from a start on with a stride that has no divisor in common with `all`, a
/// power of two; with poison, a quarter of them stays.
std::vector<int> PlacesCheck::drawPlaces(int count, int all, bool withPoison) {
  int start = static_cast<int>(random() % all), stride = static_cast<int>(random() % all) | 1;
  std::vector<int> places(count);
  for (int i = 0; i < count; ++i)
    places[i] = withPoison && random() % 4 ? -1 : (start + i * stride) % all;
  return places;
}

void PlacesCheck::fill(const std::vector<int> &places, const Rows<uint16_t> &from,
                       Rows<uint16_t> &to) {
  for (size_t i = 0; i < places.size(); ++i)
    for (int k = 0; k < to.length; ++k)
      to[i][k] = places[i] < 0 ? format.drawPoison(random) : from[places[i]][k];
}

/// Hardware may sum with less than f32's precision, but not with much less.
Status PlacesCheck::compareWithExact() const {
  const Tile &tile = *reference;
  constexpr double kTolerance = 1e-4;
  for (int i = 0; i < tile.rows; ++i)
    for (int j = 0; j < tile.columns; ++j) {
      double sum = tile.c[i][j], magnitude = std::abs(sum);
      for (int k = 0; k < tile.a.length; ++k) {
        double term = format.value(tile.a[i][k]) * format.value(tile.b[j][k]);
        sum += term, magnitude += std::abs(term);
      }
      if (!(std::abs((*product)[i][j] - sum) <= kTolerance * magnitude))
        return failure(MOEC_EXECUTION_FAILED, "row %d, column %d of %d is %g, but %g is right", i,
                       j, tile.columns, (*product)[i][j], sum);
    }
  return {};
}

Status PlacesCheck::compare(const Places &places, const Rows<float> &d) {
  for (size_t i = 0; i < places.rows.size(); ++i)
    for (size_t j = 0; j < places.columns.size(); ++j) {
      int row = places.rows[i], column = places.columns[j];
      if (row < 0 || column < 0)
        continue;
      float here = d[i][j], there = (*product)[row][column];
      if (std::bit_cast<uint32_t>(here) != std::bit_cast<uint32_t>(there))
        return failure(MOEC_EXECUTION_FAILED,
                       "%a at row %zu, column %zu of %zu, but %a at row %d, column %d of %d", here,
                       i, j, places.columns.size(), there, row, column, reference->columns);
      ++compared_;
    }
  return {};
}

} // namespace moec::tools
