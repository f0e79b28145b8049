#include "test/unit/kernels/cuda_matmul_cases.h"
#include "test/unit/kernels/mutation/launches.h"
#include <map>
#include <numeric>

using namespace moec;
using namespace moec::test;

namespace {

struct Product {
  const char *name;
  Operands operands;
};
using enum WeightType;
/// f16 weights by f16 rows differ from bf16 ones in arithmetic alone, in which no
/// mistakes are made.
const Product kProducts[] = {{"bf16_by_bf16", {bf16, MOEC_BF16}},
                             {"f32", {f32}},
                             {"int4_by_f16", {int4, MOEC_F16, 32, f16}},
                             {"bf16", {bf16}},
                             {"int8", {int8}},
                             {"int8_by_bf16", {int8, MOEC_BF16, 128, bf16, true}},
                             {"int4", {int4, MOEC_F32, 64, f32, true}}};
/// How work is found and what becomes of sums does not depend on the operands.
const llvm::ArrayRef kGroupedProducts(kProducts, 1);

class MatmulLaunches : public CudaMatmulTest,
                       public testing::WithParamInterface<std::tuple<Product, cuda::TileSize>> {
protected:
  const Operands &operands() const { return std::get<0>(GetParam()).operands; }
  cuda::TileSize size() const { return std::get<1>(GetParam()); }
};
class DenseMatmulLaunches : public MatmulLaunches {};
class BandedMatmulLaunches : public MatmulLaunches {};
class GroupedMatmulLaunches : public MatmulLaunches {};

/// More steps than stages, the last of which is a part, but for products of whole
/// steps, which sm_90a has kernels of its own for.
TEST_P(DenseMatmulLaunches, Launches) {
  bool isWhole = operands().rows == MOEC_BF16 && size() == cuda::TileSize::many;
  const int64_t columns = 83, depth = isWhole ? 320 : 328;
  cuda::Matmul matmul = matmulOf(operands(), 1, columns, depth);
  std::vector<Array> matrices =
      packed(randomMatrices(random, matricesOf(matmul)), matricesOf(matmul));
  std::vector<std::vector<Array>> inputs;
  for (int64_t rows : {int64_t(1), 2 * matmul.tileOf(size()).tokens + 3})
    inputs.push_back(join({randomArray(random, {rows, depth}, operands().rows)}, matrices));
  launchSliced(textOf(matmul, size()), "arg0", 0, inputs);
}

/// Two bands of two tiles and a last one of three, beside a matrix of several parts.
TEST_P(BandedMatmulLaunches, Launches) {
  const int64_t columns = 260, depth = 64;
  cuda::Matmul matmul = matmulOf(operands(), 1, columns, depth);
  const int64_t tile = tokensOf(matmul, size());
  std::vector<Array> inputs =
      join({randomArray(random, {7 * tile, depth}, operands().rows)},
           packed(randomMatrices(random, matricesOf(matmul)), matricesOf(matmul)));
  launch(textOf(matmul, size(), 2 * tile), {inputs});
}

/// Groups of every size, found by lanes of more than one step, and rows behind them. A
/// tile ends at each of its rows that a thread begins with.
TEST_P(GroupedMatmulLaunches, Launches) {
  constexpr int64_t kGroups = 37, kInner = 70, kDepth = 320;
  cuda::Matmul matmul = matmulOf(operands(), kGroups, 2 * kInner, kDepth, GateRows::halves);
  matmul.hasRows = matmul.hasOffsets = matmul.hasBias = true;
  matmul.rowDivisor = 2;
  using llvm::APFloat;
  matmul.activation = moe::ActivationAttr::get(&context, moe::Function::silu, moe::Gate::halves,
                                               APFloat(1.702), APFloat(1.0), APFloat(1.5));
  std::vector<Array> matrices =
      packed(randomMatrices(random, matricesOf(matmul)), matricesOf(matmul));
  Array bias = randomArray(random, {kGroups, 2 * kInner});
  auto inputs = [&](const std::map<int64_t, int64_t> &sizes, int64_t behind) {
    std::vector<double> offsets{0}, slots;
    for (int64_t group = 0; group < kGroups; ++group)
      offsets.push_back(offsets.back() + (sizes.count(group) ? sizes.at(group) : 0));
    slots.resize(static_cast<size_t>(offsets.back()) + behind);
    std::iota(slots.begin(), slots.end(), 0);
    std::shuffle(slots.begin(), slots.end(), random);
    int64_t count = slots.size();
    return join(join({randomArray(random, {(count + 1) / 2, kDepth}, operands().rows),
                      array({count}, slots, MOEC_I32), array({kGroups + 1}, offsets, MOEC_I32)},
                     matrices),
                {bias});
  };
  // The kernel that the chip has must have a full tile: groups are divided evenly.
  const int64_t tile = tokensOf(matmul, size());
  std::map<int64_t, int64_t> many{{0, tile},      {1, 1},  {3, 5}, {7, 1},
                                  {15, tile + 1}, {31, 5}, {33, 3}};
  for (int64_t group = 16; group < 24; ++group)
    many[group] = 1;
  std::vector<std::vector<Array>> launches{inputs(many, 2), inputs({{1, 2}, {2, 8}, {36, 9}}, 0)};
  std::string text = textOf(matmul, size());
  launchOnSlices(text, "arg0", 0, launches);
  for (int64_t behind = 4; behind < 128; behind += 16)
    launches.push_back(inputs({{4, 1}}, behind));
  launch(text, launches);
}

std::string nameOfCase(const testing::TestParamInfo<MatmulLaunches::ParamType> &info) {
  constexpr const char *kNames[] = {"few", "some", "many"};
  auto [product, size] = info.param;
  return std::string(product.name) + "_" + kNames[static_cast<int>(size)];
}
INSTANTIATE_TEST_SUITE_P(Kernels, DenseMatmulLaunches,
                         testing::Combine(testing::ValuesIn(kProducts), testing::ValuesIn(kSizes)),
                         nameOfCase);
INSTANTIATE_TEST_SUITE_P(Kernels, BandedMatmulLaunches,
                         testing::Combine(testing::ValuesIn(kGroupedProducts),
                                          testing::Values(cuda::TileSize::many)),
                         nameOfCase);
INSTANTIATE_TEST_SUITE_P(Kernels, GroupedMatmulLaunches,
                         testing::Combine(testing::ValuesIn(kGroupedProducts),
                                          testing::ValuesIn(kSizes)),
                         nameOfCase);

} // namespace
