// Generated norms are what their descriptions say, for every width, and a row's
// bits do not depend on the other rows.
#include "test/unit/kernels/norm_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

class NormTest : public ChipSuite {
protected:
  Array x(std::vector<int64_t> shape, const ElementType &element) {
    Array values = randomArray(random, shape, element.type, 3);
    for (double &value : values.values)
      value += 1;
    return array(shape, values.values, element.type);
  }
};

TEST_P(NormTest, RmsNormMatchesDouble) {
  for (const ElementType &element : kFloats)
    for (int64_t width : {7, 200}) {
      Program program(withType(rmsNorm(width), element.name), "", GetParam());
      Array scale = randomArray(random, {width}, element.type);
      for (int64_t rows : {0, 1, 5})
        expectLikeDouble(program, rmsNorm(width), {x({rows, 3, width}, element), scale},
                         element.threshold);
    }
}

TEST_P(NormTest, LayerNormAndItsStatisticsMatchDouble) {
  for (const ElementType &element : kFloats)
    for (int64_t width : {37, 1}) {
      if (width == 1 && element.type != MOEC_F32)
        continue;
      Program program("!S = f32\n" + withType(layerNorm(width), element.name), "", GetParam());
      std::vector<Array> inputs{x({4, 2, width}, element),
                                randomArray(random, {2, width}, element.type),
                                randomArray(random, {2, width}, element.type)};
      expectLikeDouble(program, "!S = f64\n" + layerNorm(width), inputs, element.threshold);
    }
}

TEST_P(NormTest, RowsDoNotDependOnTheBatch) {
  Program program(withType(rmsNorm(83), "f32"), "", GetParam());
  ASSERT_TRUE(program.valid());
  Array scale = randomArray(random, {83}), all = randomArray(random, {64, 3, 83});
  Array y = program.run({all, scale})[0];
  for (int64_t row = 0; row < 64; row += 1 + random() % 7) {
    Array one{MOEC_F32, {1, 3, 83}, {}};
    one.values.assign(all.values.begin() + row * 249, all.values.begin() + (row + 1) * 249);
    Array expected{MOEC_F32, {1, 3, 83}, {}};
    expected.values.assign(y.values.begin() + row * 249, y.values.begin() + (row + 1) * 249);
    EXPECT_TRUE(identical(program.run({one, scale})[0], expected)) << row;
  }
}

MOEC_ON_ALL_CHIPS(NormTest);

} // namespace
