// Generated products are right on every chip, and a row's bits depend on
// nothing but the row.
#include "lib/kernels/cpu/LaunchProgram.h"
#include "lib/kernels/cpu/Matmul.h"
#include "mlir/IR/DialectRegistry.h"
#include "moec/InitAll.h"
#include "test/unit/dialects/program.h"
#include "test/unit/kernels/chip_suite.h"
#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::test;

namespace {

/// @main launches the kernel on tensors of its arguments' shapes.
std::string programOf(const Matmul &matmul, const Chip &chip) {
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = launchProgram(
      context, [&](OpBuilder &builder) { return matmul.build(builder, chip); },
      matmul.hasRows ? 1 : 0,
      [&](OpBuilder &builder, Value rows) {
        return matmul.grid(builder, builder.getUnknownLoc(), rows);
      });
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

/// Matrices [groups][n][k] in their packed layout, by the definition.
Array packed(const Array &matrices, const PackedLayout &layout) {
  auto shape = layout.shape();
  Array result = zeros({shape.begin(), shape.end()});
  int64_t width = layout.resultWidth();
  for (int64_t g = 0; g < layout.groups; ++g)
    for (int64_t part = 0; part < (layout.isGated() ? 2 : 1); ++part)
      for (int64_t column = 0; column < layout.resultColumns(); ++column)
        for (int64_t k = 0; k < layout.k; ++k)
          result.at({g, column / width, k, part * width + column % width}) =
              matrices.at({g, layout.matrixRow(column, part), k});
  return result;
}

Array row(const Array &x, int64_t index) {
  int64_t width = x.shape[1];
  return {x.type,
          {1, width},
          {x.values.begin() + index * width, x.values.begin() + (index + 1) * width}};
}

class MatmulTest : public ChipSuite {
protected:
  PackedLayout layout(int64_t groups, int64_t n, int64_t k, GateRows gate = GateRows::none) {
    return {groups, n, k, matmulTile(chip).width(), gate};
  }
};

TEST_P(MatmulTest, DenseMatchesDouble) {
  // Panels that are full, cut inside a vector, and cut between vectors.
  for (int64_t n : {128, 83, 8}) {
    Matmul matmul{.layout = layout(1, n, 37)};
    Program program(programOf(matmul, chip), "", GetParam());
    ASSERT_TRUE(program.valid());
    Array w = randomArray(random, {1, n, 37});
    for (int64_t rows : {1, 5, 6, 13, 200}) {
      Array x = randomArray(random, {rows, 37});
      Array expected = zeros({rows, n});
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < n; ++c)
          for (int64_t k = 0; k < 37; ++k)
            expected.at({r, c}) += x.at({r, k}) * w.at({0, c, k});
      Array y = program.run({x, packed(w, matmul.layout)})[0];
      EXPECT_LT(difference(y, expected), 4e-6);
    }
  }
}

TEST_P(MatmulTest, RowsDoNotDependOnTheBatchOrTheSplit) {
  Matmul matmul{.layout = layout(1, 83, 129)};
  Program program(programOf(matmul, chip), "", GetParam());
  ASSERT_TRUE(program.valid());
  Array w = packed(randomArray(random, {1, 83, 129}), matmul.layout);
  Array x = randomArray(random, {203, 129});
  Array y = program.run({x, w}, 1)[0];
  EXPECT_TRUE(identical(program.run({x, w}, 1000)[0], y));
  for (int64_t r : {0, 5, 101, 198, 202})
    EXPECT_TRUE(identical(program.run({row(x, r), w})[0], row(y, r))) << r;
}

/// Two slots per row of x, groups of several sizes, one of them empty, and one
/// slot in no group.
TEST_P(MatmulTest, GroupedWithGateAndBiasMatchesDouble) {
  MLIRContext context;
  context.loadDialect<moe::MoeDialect>();
  constexpr int64_t kGroups = 4, kInner = 43, kDepth = 24, kTokens = 9;
  using llvm::APFloat;
  for (bool interleaved : {false, true}) {
    auto activation = moe::ActivationAttr::get(
        &context, moe::Function::silu, interleaved ? moe::Gate::interleaved : moe::Gate::halves,
        APFloat(1.702), APFloat(1.0), APFloat(1.5));
    Matmul matmul{.layout = layout(kGroups, 2 * kInner, kDepth,
                                   interleaved ? GateRows::interleaved : GateRows::halves),
                  .hasRows = true,
                  .rowDivisor = 2,
                  .hasOffsets = true,
                  .hasBias = true,
                  .activation = activation};
    Program program(programOf(matmul, chip), "", GetParam());
    ASSERT_TRUE(program.valid());
    Array x = randomArray(random, {kTokens, kDepth});
    Array w = randomArray(random, {kGroups, 2 * kInner, kDepth}, MOEC_F32, 0.3);
    Array bias = randomArray(random, {kGroups, 2 * kInner});
    std::vector<double> order(2 * kTokens);
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    Array slots = array({2 * kTokens}, order, MOEC_I32);
    Array offsets = array({kGroups + 1}, {0, 1, 1, 9, 17}, MOEC_I32);
    Array expected = zeros({2 * kTokens, kInner});
    for (int64_t g = 0; g < kGroups; ++g)
      for (int64_t r = offsets.at({g}); r < offsets.at({g + 1}); ++r)
        for (int64_t i = 0; i < kInner; ++i) {
          auto product = [&](int64_t n) {
            double sum = bias.at({g, n});
            for (int64_t k = 0; k < kDepth; ++k)
              sum += x.at({int64_t(order[r]) / 2, k}) * w.at({g, n, k});
            return sum;
          };
          double gate = std::min(product(interleaved ? 2 * i : i), 1.5);
          double linear = product(interleaved ? 2 * i + 1 : kInner + i);
          linear = std::min(std::max(linear, -1.5), 1.5) + 1;
          expected.at({r, i}) = gate / (1 + std::exp(-1.702 * gate)) * linear;
        }
    std::vector<Array> inputs{x, slots, offsets, packed(w, matmul.layout), bias};
    Array y = program.run(inputs)[0];
    EXPECT_LT(difference(y, expected), 2e-6);
    EXPECT_TRUE(identical(program.run(inputs, 1000)[0], y));
  }
}

MOEC_ON_ALL_CHIPS(MatmulTest);

} // namespace
