// Programs in one element type by a kernel, and in f64 by a decomposition.
#pragma once

#include "test/unit/dialects/program.h"
#include "test/unit/kernels/chip_suite.h"

namespace moec::test {

struct ElementType {
  const char *name;
  moec_element_type type;
  /// Of one rounding to it and what f32 loses before.
  double threshold;
};
inline constexpr ElementType kFloats[] = {
    {"f32", MOEC_F32, 4e-6}, {"f16", MOEC_F16, 2e-3}, {"bf16", MOEC_BF16, 1.6e-2}};

/// `source` with the element type !T.
inline std::string withType(const std::string &source, const char *type) {
  return "!T = " + std::string(type) + "\n" + source;
}

/// The floats among `inputs` as f64, exactly.
inline std::vector<Array> asDouble(std::vector<Array> inputs) {
  for (Array &input : inputs)
    if (input.type == MOEC_F32 || input.type == MOEC_F16 || input.type == MOEC_BF16)
      input.type = MOEC_F64;
  return inputs;
}

/// The results of `program` are close to those of `source` in f64, and do not
/// depend on how grids are split.
inline void expectLikeDouble(Program &program, const std::string &source,
                             const std::vector<Array> &inputs, double threshold) {
  Program exact(withType(source, "f64"));
  ASSERT_TRUE(program.valid() && exact.valid()) << source;
  std::vector<Array> results = program.run(inputs), expected = exact.run(asDouble(inputs));
  std::vector<Array> whole = program.run(inputs, 1000);
  ASSERT_EQ(results.size(), expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_LT(difference(results[i], expected[i]), threshold) << source << "result " << i;
    EXPECT_TRUE(identical(whole[i], results[i])) << source << "result " << i;
  }
}

} // namespace moec::test
