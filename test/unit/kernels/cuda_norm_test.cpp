// Norms by blocks of threads are what their descriptions say, for every width
// and wherever rows begin, and a row's bits do not depend on the other rows.
#include "test/unit/kernels/device_program.h"
#include "test/unit/kernels/norm_cases.h"
#include "test/unit/kernels/typed_program.h"
#include "gtest/gtest.h"

using namespace moec;
using namespace moec::test;

namespace {

std::mt19937 random_{7};

Array rows(std::vector<int64_t> shape, moec_element_type type) {
  Array values = randomArray(random_, shape, type, 3);
  for (double &value : values.values)
    value += 1;
  return array(shape, values.values, type);
}

void expectLikeDouble(const std::string &source, const ElementType &element,
                      const std::vector<Array> &inputs, const std::string &statistics = "") {
  auto in = [&](const char *type, const char *statistic) {
    return statistics.empty() ? withType(source, type)
                              : "!S = " + std::string(statistic) + "\n" + withType(source, type);
  };
  DeviceProgram program(in(element.name, "f32"), testedCudaChip());
  Program exact(in("f64", "f64"));
  ASSERT_TRUE(program.valid() && exact.valid()) << source;
  std::vector<Array> results = program.run(inputs), expected = exact.run(asDouble(inputs));
  ASSERT_EQ(results.size(), expected.size());
  for (size_t i = 0; i < results.size(); ++i)
    EXPECT_LT(difference(results[i], expected[i]), element.threshold) << source << "result " << i;
}

/// One warp's rows, several warps', and those that no unit of 16 bytes divides.
TEST(CudaNormTest, RmsNormMatchesDouble) {
  for (const ElementType &element : kFloats)
    for (int64_t width : {7, 128, 1032, 2001, 20000})
      expectLikeDouble(rmsNorm(width), element,
                       {rows({width < 2000 ? 5 : 1, 3, width}, element.type),
                        randomArray(random_, {width}, element.type)});
}

TEST(CudaNormTest, LayerNormAndItsStatisticsMatchDouble) {
  for (const ElementType &element : kFloats)
    for (int64_t width : {37, 528}) {
      expectLikeDouble(layerNorm(width), element,
                       {rows({4, 2, width}, element.type),
                        randomArray(random_, {2, width}, element.type),
                        randomArray(random_, {2, width}, element.type)},
                       "with");
    }
}

/// By units and without; the sum's bits are those of an addition.
TEST(CudaNormTest, SumsThatAreNormalisedAreResultsToo) {
  for (auto [element, width] : {std::pair(kFloats[0], 37), std::pair(kFloats[2], 1040)}) {
    std::vector<Array> inputs{rows({5, 3, width}, element.type), rows({5, 3, width}, element.type),
                              randomArray(random_, {width}, element.type)};
    expectLikeDouble(skipRmsNorm(width), element, inputs);
    DeviceProgram program(withType(skipRmsNorm(width), element.name), testedCudaChip());
    Program plain(withType(skipRmsNorm(width), element.name), "moec-decompose");
    ASSERT_TRUE(program.valid() && plain.valid());
    EXPECT_TRUE(identical(program.run(inputs)[1], plain.run(inputs)[1])) << width;
  }
}

/// Row r of a batch is computed alone from a tensor in which it begins where no
/// vector can be read.
TEST(CudaNormTest, RowsDependNeitherOnTheBatchNorOnWhereTheyBegin) {
  constexpr int64_t kWidth = 1040;
  std::string program = withType(rmsNorm(kWidth), "bf16");
  DeviceProgram whole(program, testedCudaChip());
  DeviceProgram part("!T = bf16\n" + llvm::formatv(R"mlir(
    func.func @main(%x: tensor<?x1x{1}x!T>, %scale: tensor<{0}x!T>) -> tensor<?x1x{0}x!T> {{
      %c0 = arith.constant 0 : index
      %n = tensor.dim %x, %c0 : tensor<?x1x{1}x!T>
      %s = tensor.extract_slice %x[0, 0, 1] [%n, 1, {0}] [1, 1, 1] : tensor<?x1x{1}x!T> to tensor<?x1x{0}x!T>
      %y = attn.rms_norm %s, %scale {{axis = 2, epsilon = 1.0e-3 : f64} : tensor<?x1x{0}x!T>, tensor<{0}x!T> -> tensor<?x1x{0}x!T>
      return %y : tensor<?x1x{0}x!T>
    })mlir",
                                                   kWidth, kWidth + 3)
                                         .str(),
                     testedCudaChip());
  ASSERT_TRUE(whole.valid() && part.valid());
  Array scale = randomArray(random_, {kWidth}, MOEC_BF16);
  Array all = rows({12, 3, kWidth}, MOEC_BF16);
  Array y = whole.run({all, scale})[0];
  for (int64_t row = 0; row < 36; row += 1 + random_() % 7) {
    Array one = zeros({1, 1, kWidth + 3}, MOEC_BF16);
    Array expected = zeros({1, 1, kWidth}, MOEC_BF16);
    for (int64_t i = 0; i < kWidth; ++i) {
      one.at({0, 0, i + 1}) = all.values[row * kWidth + i];
      expected.at({0, 0, i}) = y.values[row * kWidth + i];
    }
    EXPECT_TRUE(identical(part.run({one, scale})[0], expected)) << row;
  }
}

} // namespace
