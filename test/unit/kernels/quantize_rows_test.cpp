// Rows are rounded to int8 as QuantizeRows says, on every chip.
#include "lib/kernels/cpu/QuantizeRows.h"
#include "test/unit/kernels/chip_suite.h"
#include "test/unit/kernels/matmul_cases.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace moec;
using namespace moec::test;

namespace {

class QuantizeRowsTest : public ChipSuite {
protected:
  std::string programOf(const QuantizeRows &spec) {
    return launchText(spec, chip, 0, [](OpBuilder &, Value rows) { return rows; }, /*outputs=*/3);
  }
};

TEST_P(QuantizeRowsTest, RowsAreQuantisedByBlocks) {
  for (auto [k, block] : {std::pair(203, 32), std::pair(203, 16), std::pair(300, 128),
                          std::pair(7, 7), std::pair(64, 64)}) {
    QuantizeRows spec{k, block};
    Program program(programOf(spec), "", GetParam());
    ASSERT_TRUE(program.valid());
    Array x = randomArray(random, {5, k}, MOEC_F32, 3);
    for (int64_t i = 0; i < std::min(block, k); ++i)
      x.at({1, i}) = 0;
    std::vector<Array> rows = program.run({x}), expected = quantised(x, block);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_TRUE(identical(rows[i], expected[i])) << spec.name() << ", output " << i;
    EXPECT_TRUE(identical(program.run({row(x, 3)})[0], row(rows[0], 3)));
  }
}

/// A value that is not finite is not hidden: its block's scale is not either.
TEST_P(QuantizeRowsTest, QuantisedRowsTellWhatIsNotFinite) {
  QuantizeRows spec{48, 16};
  Program program(programOf(spec), "", GetParam());
  ASSERT_TRUE(program.valid());
  Array x = randomArray(random, {1, 48});
  x.at({0, 3}) = std::numeric_limits<double>::infinity();
  x.at({0, 20}) = std::numeric_limits<double>::quiet_NaN();
  Array scales = program.run({x})[1];
  EXPECT_TRUE(std::isinf(scales.at({0, 0})));
  EXPECT_TRUE(std::isnan(scales.at({0, 1})));
  EXPECT_TRUE(std::isfinite(scales.at({0, 2})));
}

MOEC_ON_ALL_CHIPS(QuantizeRowsTest);

} // namespace
