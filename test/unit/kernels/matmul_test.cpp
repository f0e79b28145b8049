// Generated products are right on every chip, for every type of weights and
// rows, and a row's bits depend on nothing but the row.
#include "lib/kernels/cpu/QuantizeRows.h"
#include "test/unit/kernels/chip_suite.h"
#include "test/unit/kernels/matmul_cases.h"
#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::test;

namespace {

std::string programOf(const Matmul &matmul, const Chip &chip) {
  unsigned rows = !matmul.hasRows ? 0 : matmul.x == Rows::int8 ? 3 : 1;
  return launchText(matmul, chip, rows, [&](OpBuilder &builder, Value rows) {
    return matmul.grid(builder, builder.getUnknownLoc(), rows);
  });
}

std::vector<Array> operator+(std::vector<Array> list, const std::vector<Array> &more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

/// Everything that a kernel is specialised by, but the shape.
struct Operands {
  WeightType weights;
  Rows rows = Rows::f32;
  int64_t block = 0;
  WeightType scales = WeightType::f32;
  std::optional<WeightType> zeros = {};
};

std::vector<Operands> allOperands() {
  using enum WeightType;
  std::vector<Operands> list{{f32}, {f16}, {bf16}, {bf16, Rows::bf16}};
  list.push_back({int4, Rows::f32, 32, f16, f32});
  list.push_back({int8, Rows::f32, 16, bf16, bf16});
  for (Rows rows : {Rows::f32, Rows::int8})
    for (Operands each : std::initializer_list<Operands>{{int8, rows},
                                                         {int8, rows, 32, f16, int8},
                                                         {int4, rows, 32, f16},
                                                         {int4, rows, 16, f32, int8},
                                                         {int4, rows, 0, bf16, int8},
                                                         {int4, rows, 64, f32},
                                                         {int2, rows, 16, f16, int8}})
      list.push_back(each);
  return list;
}

class MatmulTest : public ChipSuite {
protected:
  Matmul matmulOf(const Operands &operands, int64_t groups, int64_t n, int64_t k,
                  GateRows gate = GateRows::none) {
    PackedLayout layout{groups,          n, k, matmulTile(chip, operands.rows).width(), gate,
                        operands.weights};
    layout.block = operands.block;
    return {.layout = layout.inWords(),
            .x = operands.rows,
            .scales = operands.scales,
            .zeros = operands.zeros};
  }

  enum class Form { dense, grouped };

  /// The kinds of operands that the chip has kernels for. What takes the time is
  /// compiling: chips other than this machine's take each kind in one form, and
  /// the next level in the other.
  std::vector<Operands> operandsOfChip(Form form) {
    std::vector<Operands> list;
    StringRef name = GetParam();
    for (auto [i, each] : llvm::enumerate(allOperands())) {
      bool isGrouped = (i + name.back()) % 2;
      if ((each.rows != Rows::bf16 || chip.avx512bf16) &&
          (name == "native" || isGrouped == (form == Form::grouped)))
        list.push_back(each);
    }
    return list;
  }

  /// Rows as the kernel takes them, and what it means by them.
  struct Input {
    std::vector<Array> arrays;
    Array meaning;
  };
  static Input inputOf(const Array &x, const Matmul &matmul) {
    if (matmul.x != Rows::int8)
      return {{x}, x};
    std::vector<Array> rows = quantised(x, matmul.block());
    return {rows, dequantised(rows, x.shape[1], matmul.block())};
  }
  Array randomRows(int64_t count, const Matmul &matmul) {
    return randomArray(random, {count, matmul.layout.k},
                       matmul.x == Rows::bf16 ? MOEC_BF16 : MOEC_F32);
  }
};

TEST_P(MatmulTest, DenseMatchesDouble) {
  // Panels that are full, cut inside a vector, and cut between vectors.
  for (int64_t n : {128, 83, 8}) {
    Matmul matmul = matmulOf({WeightType::f32}, 1, n, 37);
    Program program(programOf(matmul, chip), "", GetParam());
    ASSERT_TRUE(program.valid());
    Matrices w = randomMatrices(random, matmul);
    for (int64_t rows : {1, 5, 6, 13, 200}) {
      Array x = randomRows(rows, matmul);
      Array expected = zeros({rows, n});
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < n; ++c)
          for (int64_t k = 0; k < 37; ++k)
            expected.at({r, c}) += x.at({r, k}) * w.weights.at({0, c, k});
      EXPECT_LT(difference(program.run(std::vector{x} + packed(w, matmul))[0], expected), 4e-6);
    }
  }
}

/// Odd sizes: the last word, block, vector and panel are parts.
TEST_P(MatmulTest, EveryTypeMatchesDoubleAndRowsStandAlone) {
  constexpr int64_t kColumns = 43, kDepth = 203, kRows = 109;
  for (const Operands &operands : operandsOfChip(Form::dense)) {
    Matmul matmul = matmulOf(operands, 1, kColumns, kDepth);
    SCOPED_TRACE(matmul.name() + " block " + std::to_string(operands.block));
    Program program(programOf(matmul, chip), "", GetParam());
    ASSERT_TRUE(program.valid());
    Matrices w = randomMatrices(random, matmul);
    std::vector<Array> matrices = packed(w, matmul);
    Array x = randomRows(kRows, matmul);
    Input input = inputOf(x, matmul);
    Array expected = zeros({kRows, kColumns}), unrounded = expected;
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t c = 0; c < kColumns; ++c)
        for (int64_t k = 0; k < kDepth; ++k) {
          expected.at({r, c}) += input.meaning.at({r, k}) * w.weights.at({0, c, k});
          unrounded.at({r, c}) += x.at({r, k}) * w.weights.at({0, c, k});
        }
    Array y = program.run(input.arrays + matrices, 1)[0];
    EXPECT_LT(calcDiff(y, expected), 1e-12);
    EXPECT_LT(calcDiff(y, unrounded), matmul.x == Rows::int8 ? 1e-4 : 1e-12);
    EXPECT_TRUE(identical(program.run(input.arrays + matrices, 1000)[0], y));
    for (int64_t r : {0, 5, 95, 101, 107, 108})
      EXPECT_TRUE(
          identical(program.run(inputOf(row(x, r), matmul).arrays + matrices)[0], row(y, r)))
          << r;
  }
}

/// Two slots per row of x, groups of several sizes, one of them empty, and one
/// slot in no group; gates of both kinds, with bias.
TEST_P(MatmulTest, EveryTypeIsGroupedWithGateAndBias) {
  MLIRContext context;
  context.loadDialect<moe::MoeDialect>();
  constexpr int64_t kGroups = 4, kInner = 13, kDepth = 75, kTokens = 9;
  using llvm::APFloat;
  bool interleaved = false;
  for (const Operands &operands : operandsOfChip(Form::grouped)) {
    interleaved = !interleaved;
    Matmul matmul = matmulOf(operands, kGroups, 2 * kInner, kDepth,
                             interleaved ? GateRows::interleaved : GateRows::halves);
    SCOPED_TRACE(matmul.name() + " block " + std::to_string(operands.block));
    matmul.hasRows = matmul.hasOffsets = matmul.hasBias = true;
    matmul.rowDivisor = 2;
    matmul.activation = moe::ActivationAttr::get(
        &context, moe::Function::silu, interleaved ? moe::Gate::interleaved : moe::Gate::halves,
        APFloat(1.702), APFloat(1.0), APFloat(1.5));
    Program program(programOf(matmul, chip), "", GetParam());
    ASSERT_TRUE(program.valid());
    Matrices w = randomMatrices(random, matmul);
    Array bias = randomArray(random, {kGroups, 2 * kInner});
    std::vector<double> order(2 * kTokens);
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    Array slots = array({2 * kTokens}, order, MOEC_I32);
    Array offsets = array({kGroups + 1}, {0, 1, 1, 9, 17}, MOEC_I32);
    Input x = inputOf(randomRows(kTokens, matmul), matmul);
    Array expected = zeros({2 * kTokens, kInner});
    for (int64_t g = 0; g < kGroups; ++g)
      for (int64_t r = offsets.at({g}); r < offsets.at({g + 1}); ++r)
        for (int64_t i = 0; i < kInner; ++i) {
          auto product = [&](int64_t n) {
            double sum = bias.at({g, n});
            for (int64_t k = 0; k < kDepth; ++k)
              sum += x.meaning.at({int64_t(order[r]) / 2, k}) * w.weights.at({g, n, k});
            return sum;
          };
          double gate = std::min(product(interleaved ? 2 * i : i), 1.5);
          double linear = product(interleaved ? 2 * i + 1 : kInner + i);
          linear = std::min(std::max(linear, -1.5), 1.5) + 1;
          expected.at({r, i}) = gate / (1 + std::exp(-1.702 * gate)) * linear;
        }
    std::vector<Array> inputs =
        x.arrays + std::vector{slots, offsets} + packed(w, matmul) + std::vector{bias};
    Array y = program.run(inputs)[0];
    EXPECT_LT(difference(y, expected), 4e-6);
    EXPECT_TRUE(identical(program.run(inputs, 1000)[0], y));
  }
}

MOEC_ON_ALL_CHIPS(MatmulTest);

} // namespace
