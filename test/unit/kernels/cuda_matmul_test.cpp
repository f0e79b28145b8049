// Products by blocks of threads are right for every type of weights and rows,
// and a row's bits depend neither on the tile nor on the rows around it.
// MOEC_TEST_CHIP says what they are compiled for.
#include "test/unit/kernels/cuda_matmul_cases.h"
#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::test;

namespace {

std::vector<Operands> allOperands() {
  using enum WeightType;
  std::vector<Operands> list{{f32}, {f16}, {bf16}, {bf16, MOEC_BF16}, {f16, MOEC_F16}};
  for (moec_element_type rows : {MOEC_F32, MOEC_BF16, MOEC_F16})
    for (Operands each : std::initializer_list<Operands>{{int8, rows, 0, f32},
                                                         {int8, rows, 128, bf16, true},
                                                         {int4, rows, 32, f16},
                                                         {int4, rows, 64, f32, true}})
      list.push_back(each);
  return list;
}

/// Of sums in f32; and of integers, whose sums are scaled.
constexpr double kLimit = 1e-10;

/// Odd sizes: the last panel, word, block and tile are parts; rows of 203
/// columns begin where no vector can be read, rows of 200 where one can; 192
/// columns are whole stages of the pipeline.
TEST_F(CudaMatmulTest, EveryTypeMatchesDoubleInEveryTile) {
  constexpr int64_t kColumns = 83, kRows = 70;
  for (auto [i, operands] : llvm::enumerate(allOperands())) {
    const int64_t depth = std::array{200, 203, 200, 192}[i % 4];
    cuda::Matmul matmul = matmulOf(operands, 1, kColumns, depth);
    SCOPED_TRACE(matmul.name() + " block " + std::to_string(operands.block));
    Matrices w = randomMatrices(random, matricesOf(matmul));
    Array x = randomArray(random, {kRows, depth}, operands.rows);
    Array expected = zeros({kRows, kColumns});
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t c = 0; c < kColumns; ++c)
        for (int64_t k = 0; k < depth; ++k)
          expected.at({r, c}) += x.at({r, k}) * w.weights.at({0, c, k});
    std::vector<Array> matrices = packed(w, matricesOf(matmul));
    std::optional<Array> first;
    for (cuda::TileSize size : kSizes) {
      std::unique_ptr<DeviceProgram> program = programOf(matmul, size);
      ASSERT_TRUE(program->valid());
      std::vector<Array> y = program->run(join({x}, matrices));
      ASSERT_EQ(y.size(), 1u);
      if (!first)
        EXPECT_LT(calcDiff(y[0], expected), kLimit);
      EXPECT_TRUE(identical(y[0], first.value_or(y[0])));
      first = y[0];
      for (int64_t r : {0, 69}) {
        std::vector<Array> alone = program->run(join({row(x, r)}, matrices));
        ASSERT_EQ(alone.size(), 1u);
        EXPECT_TRUE(identical(alone[0], row(y[0], r)));
      }
    }
  }
}

/// The order of blocks: bands whose last one is lower or higher than the others, or the
/// only one; and none, where rows pass by the matrix.
TEST_F(CudaMatmulTest, BandsChangeNoBit) {
  constexpr int64_t kGroups = 3, kColumns = 520, kDepth = 64;
  cuda::Matmul matmul = matmulOf({WeightType::bf16, MOEC_BF16}, kGroups, kColumns, kDepth);
  matmul.hasOffsets = true;
  std::vector<Array> matrices =
      packed(randomMatrices(random, matricesOf(matmul)), matricesOf(matmul));
  for (cuda::TileSize size : {cuda::TileSize::few, cuda::TileSize::many}) {
    const int64_t tile = tokensOf(matmul, size), rows = 10 * tile + 1;
    Array offsets = array({kGroups + 1}, {0, 7.0 * tile - 1, 7.0 * tile - 1, 9.0 * tile}, MOEC_I32);
    std::vector<Array> inputs =
        join({randomArray(random, {rows, kDepth}, MOEC_BF16), offsets}, matrices);
    std::vector<Array> expected = programOf(matmul, size)->run(inputs);
    ASSERT_EQ(expected.size(), 1u);
    for (int64_t band : {2, 3}) {
      SCOPED_TRACE("bands of " + std::to_string(band) + " tiles of " + std::to_string(tile));
      std::vector<Array> y = programOf(matmul, size, band * tile)->run(inputs);
      ASSERT_EQ(y.size(), 1u);
      EXPECT_TRUE(identical(y[0], expected[0]));
    }
  }
}

/// Two slots per row of x, groups of several sizes, one of them empty, and one
/// slot in no group; gates of both kinds, with bias.
TEST_F(CudaMatmulTest, EveryTypeIsGroupedWithGateAndBias) {
  constexpr int64_t kGroups = 4, kInner = 70, kDepth = 128, kTokens = 9;
  using llvm::APFloat;
  bool interleaved = false;
  for (const Operands &operands : allOperands()) {
    interleaved = !interleaved;
    cuda::Matmul matmul = matmulOf(operands, kGroups, 2 * kInner, kDepth,
                                   interleaved ? GateRows::interleaved : GateRows::halves);
    SCOPED_TRACE(matmul.name() + " block " + std::to_string(operands.block));
    matmul.hasRows = matmul.hasOffsets = matmul.hasBias = true;
    matmul.rowDivisor = 2;
    matmul.activation = moe::ActivationAttr::get(
        &context, moe::Function::silu, interleaved ? moe::Gate::interleaved : moe::Gate::halves,
        APFloat(1.702), APFloat(1.0), APFloat(1.5));
    Matrices w = randomMatrices(random, matricesOf(matmul));
    Array bias = randomArray(random, {kGroups, 2 * kInner});
    std::vector<double> order(2 * kTokens);
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    Array slots = array({2 * kTokens}, order, MOEC_I32);
    Array offsets = array({kGroups + 1}, {0, 1, 1, 9, 17}, MOEC_I32);
    Array x = randomArray(random, {kTokens, kDepth}, operands.rows);
    Array expected = zeros({2 * kTokens, kInner});
    for (int64_t g = 0; g < kGroups; ++g)
      for (int64_t r = offsets.at({g}); r < offsets.at({g + 1}); ++r)
        for (int64_t i = 0; i < kInner; ++i) {
          auto product = [&](int64_t n) {
            double sum = bias.at({g, n});
            for (int64_t k = 0; k < kDepth; ++k)
              sum += x.at({int64_t(order[r]) / 2, k}) * w.weights.at({g, n, k});
            return sum;
          };
          double gate = std::min(product(interleaved ? 2 * i : i), 1.5);
          double linear = product(interleaved ? 2 * i + 1 : kInner + i);
          linear = std::min(std::max(linear, -1.5), 1.5) + 1;
          expected.at({r, i}) = gate / (1 + std::exp(-1.702 * gate)) * linear;
        }
    std::vector<Array> inputs =
        join(join({x, slots, offsets}, packed(w, matricesOf(matmul))), {bias});
    std::optional<Array> first;
    for (cuda::TileSize size : kSizes) {
      std::unique_ptr<DeviceProgram> program = programOf(matmul, size);
      ASSERT_TRUE(program->valid());
      std::vector<Array> y = program->run(inputs);
      ASSERT_EQ(y.size(), 1u);
      if (!first)
        EXPECT_LT(calcDiff(y[0], expected), kLimit);
      EXPECT_TRUE(identical(y[0], first.value_or(y[0])));
      first = y[0];
    }
  }
}

} // namespace
