#include "test/unit/kernels/matmul_cases.h"

#include "lib/kernels/cpu/QuantizeRows.h"
#include <algorithm>
#include <cmath>

namespace moec::test {
namespace {

moec_element_type storage(WeightType type) {
  switch (type) {
  case WeightType::f32:
    return MOEC_F32;
  case WeightType::f16:
    return MOEC_F16;
  case WeightType::bf16:
    return MOEC_BF16;
  default:
    return MOEC_U8;
  }
}

/// Elements [groups][n][layout.k] in their packed layout.
Array packedElements(const Array &elements, const PackedLayout &layout) {
  auto shape = layout.shape();
  Array result = zeros({shape.begin(), shape.end()}, storage(layout.element));
  int64_t width = layout.resultWidth(), bits = bitsOf(layout.element);
  int64_t bytes = layout.together * bits / 8;
  for (int64_t g = 0; g < layout.groups; ++g)
    for (int64_t part = 0; part < (layout.isGated() ? 2 : 1); ++part)
      for (int64_t column = 0; column < layout.resultColumns(); ++column)
        for (int64_t k = 0; k < layout.k; ++k) {
          int64_t lane = part * width + column % width, place = k % layout.together;
          double value = elements.at({g, layout.matrixRow(column, part), k});
          if (isInteger(layout.element))
            result.at({g, column / width, k / layout.together, lane * bytes + place % bytes}) +=
                value * static_cast<double>(1 << place / bytes * bits);
          else
            result.at({g, column / width, k / layout.together, lane * layout.together + place}) =
                value;
        }
  return result;
}

} // namespace

Array row(const Array &x, int64_t index) {
  int64_t width = x.shape[1];
  return {x.type,
          {1, width},
          {x.values.begin() + index * width, x.values.begin() + (index + 1) * width}};
}

Matrices randomMatrices(std::mt19937 &random, const MatrixTypes &types) {
  const PackedLayout &layout = types.layout;
  Matrices result;
  std::vector<int64_t> shape{layout.groups, layout.n, layout.k};
  if (!isInteger(layout.element)) {
    result.weights = result.stored = randomArray(random, shape, storage(layout.element), 0.3);
    return result;
  }
  int64_t highest = 2 * defaultZero(layout.element) - 1;
  std::vector<int64_t> perBlock{layout.groups, layout.n, layout.blocks()};
  result.stored = randomIntegers(random, shape, 0, highest, MOEC_U8);
  result.scales = randomArray(random, perBlock, storage(types.scales), 0.3 / double(highest));
  if (types.zeros)
    result.zeros = isInteger(*types.zeros)
                       ? randomIntegers(random, perBlock, 0, highest, MOEC_U8)
                       : randomArray(random, perBlock, storage(*types.zeros), double(highest));
  result.weights = zeros(shape);
  int64_t block = layout.block ? layout.block : layout.k;
  for (int64_t g = 0; g < layout.groups; ++g)
    for (int64_t n = 0; n < layout.n; ++n)
      for (int64_t k = 0; k < layout.k; ++k) {
        double zero = types.zeros ? result.zeros.at({g, n, k / block})
                                  : static_cast<double>(defaultZero(layout.element));
        // Rounded as the kernel's meaning says: the difference and the product.
        float difference = static_cast<float>(result.stored.at({g, n, k}) - zero);
        result.weights.at({g, n, k}) =
            difference * static_cast<float>(result.scales.at({g, n, k / block}));
      }
  return result;
}

std::vector<Array> packed(const Matrices &matrices, const MatrixTypes &types) {
  std::vector<Array> result{packedElements(matrices.stored, types.layout)};
  if (isInteger(types.layout.element))
    result.push_back(packedElements(matrices.scales, types.layout.perBlock(types.scales)));
  if (types.zeros)
    result.push_back(packedElements(matrices.zeros, types.layout.perBlock(*types.zeros)));
  return result;
}

std::vector<Array> quantised(const Array &x, int64_t block) {
  int64_t count = x.shape[0], k = x.shape[1];
  QuantizeRows spec{k, block};
  Array q = zeros({count, spec.paddedColumns()}, MOEC_U8), scales = zeros({count, spec.blocks()}),
        sums = zeros({count, spec.blocks()}, MOEC_I32);
  for (int64_t row = 0; row < count; ++row)
    for (int64_t first = 0; first < k; first += block) {
      int64_t last = std::min(first + block, k);
      float largest = 0;
      for (int64_t i = first; i < last; ++i)
        largest = std::max(largest, std::abs(static_cast<float>(x.at({row, i}))));
      scales.at({row, first / block}) = largest / 127;
      for (int64_t i = first; i < last && largest > 0; ++i) {
        float nearest = std::nearbyint(static_cast<float>(x.at({row, i})) * (127 / largest));
        q.at({row, i}) = nearest < 0 ? nearest + 256 : std::abs(nearest); // as a byte
        sums.at({row, first / block}) += nearest;
      }
    }
  return {q, scales, sums};
}

Array dequantised(const std::vector<Array> &rows, int64_t columns, int64_t block) {
  Array result = zeros({rows[0].shape[0], columns});
  for (int64_t row = 0; row < result.shape[0]; ++row)
    for (int64_t k = 0; k < columns; ++k) {
      double byte = rows[0].at({row, k});
      result.at({row, k}) = (byte > 127 ? byte - 256 : byte) * rows[1].at({row, k / block});
    }
  return result;
}

double calcDiff(const Array &x, const Array &y) {
  double product = 0, squares = 0;
  for (size_t i = 0; i < x.values.size(); ++i) {
    product += x.values[i] * y.values[i];
    squares += x.values[i] * x.values[i] + y.values[i] * y.values[i];
  }
  return squares == 0 ? 0 : 1 - 2 * product / squares;
}

} // namespace moec::test
