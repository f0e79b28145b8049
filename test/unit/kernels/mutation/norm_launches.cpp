#include "test/unit/kernels/mutation/launches.h"
#include "test/unit/kernels/norm_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

/// f16 differs from bf16 in conversions alone, in which no mistakes are made.
const ElementType kTypes[] = {kFloats[0], kFloats[2]};

/// Of rows that may be slices, with a bias.
std::string layerNormOfRows(int64_t width) {
  return llvm::formatv(R"mlir(
    func.func @main(%x: tensor<?x{0}x!T>, %scale: tensor<{0}x!T>, %b: tensor<{0}x!T>) -> (tensor<?x{0}x!T>, tensor<?x1xf32>, tensor<?x1xf32>) {{
      %y, %m, %i = attn.layer_norm %x, %scale bias(%b : tensor<{0}x!T>) {{axis = 1, epsilon = 1.0e-3 : f64}
        : tensor<?x{0}x!T>, tensor<{0}x!T> -> tensor<?x{0}x!T>, tensor<?x1xf32>, tensor<?x1xf32>
      return %y, %m, %i : tensor<?x{0}x!T>, tensor<?x1xf32>, tensor<?x1xf32>
    })mlir",
                       width)
      .str();
}

class NormLaunches : public testing::Test {
protected:
  /// Twice, with random values of these shapes.
  void normalise(const std::string &text, const ElementType &element, const std::string &sliced,
                 size_t number, const std::vector<std::vector<int64_t>> &shapes) {
    std::vector<std::vector<Array>> inputs(2);
    for (std::vector<Array> &each : inputs)
      for (const std::vector<int64_t> &shape : shapes)
        each.push_back(randomArray(random, shape, element.type));
    launchSliced(withType(text, element.name), sliced, number, inputs);
  }
  std::mt19937 random{7};
};

/// Rows of a warp and of several, of which the last threads have less.
TEST_F(NormLaunches, RmsNorm) {
  for (const ElementType &element : kTypes)
    for (int64_t width : {7, 296, 1032, 2001})
      normalise(rmsNorm(width), element, "x", 0, {{5, 3, width}, {width}});
}
TEST_F(NormLaunches, LayerNorm) {
  for (const ElementType &element : kTypes)
    for (int64_t width : {37, 296, 1032})
      normalise(layerNormOfRows(width), element, "x", 0, {{9, width}, {width}, {width}});
}
TEST_F(NormLaunches, SkipRmsNorm) {
  for (const ElementType &element : kTypes)
    for (int64_t width : {37, 1032})
      normalise(skipRmsNorm(width), element, "skip", 1, {{5, 3, width}, {5, 3, width}, {width}});
}

} // namespace
