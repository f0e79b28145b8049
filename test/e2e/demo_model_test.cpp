// The demo model, compiled and run, writes what its float64 reference writes.
// MOEC_TEST_TARGET and MOEC_TEST_CHIP say what it is compiled for.
#include "test/e2e/DemoModel.h"

#include "gtest/gtest.h"

#include <cmath>

namespace {

using namespace moec::test;

/// Where the best two logits of the reference are closer, either may win.
constexpr double kMargin = 1e-4;

class DemoModel : public testing::Test {
protected:
  void SetUp() override {
    if (!model)
      model = compileAndLoad(kDemoFolder / "demo.onnx", testedOptions());
    ASSERT_TRUE(model);
  }
  /// While the driver of a device is there.
  static void TearDownTestSuite() { model.reset(); }

  static moec_model *demo() { return model.get(); }

private:
  inline static Model model;
};

std::vector<int64_t> readIds(const char *name) {
  std::vector<int64_t> ids;
  for (double value : readNumbers(kDemoFolder / name))
    ids.push_back(static_cast<int64_t>(value));
  return ids;
}

Ids rows(const std::vector<int64_t> &flat, int64_t count) {
  Ids result;
  for (size_t at = 0; at < flat.size(); at += count)
    result.emplace_back(flat.begin() + at, flat.begin() + at + count);
  return result;
}

/// The mean over all positions of -log2 of the probability of the next byte.
double bitsPerByte(const std::vector<float> &logits, const std::vector<int64_t> &targets) {
  double bits = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    const float *row = &logits[i * kDemoVocabulary];
    double sum = 0;
    for (int64_t v = 0; v < kDemoVocabulary; ++v)
      sum += std::exp(double(row[v]));
    bits += std::log2(sum) - row[targets[i]] / std::log(2.0);
  }
  return bits / static_cast<double>(targets.size());
}

constexpr int64_t kWindow = 256;
constexpr double kReferenceBits = 1.4306458;

TEST_F(DemoModel, PredictsHeldOutTextLikeTheReference) {
  std::vector<float> logits =
      DemoReader(demo()).read(rows(readIds("held_out_input_ids.npy"), kWindow));
  std::vector<int64_t> next = readIds("held_out_next.npy"),
                       targets = readIds("held_out_targets.npy");
  std::vector<double> margins = readNumbers(kDemoFolder / "held_out_margins.npy");
  int64_t close = 0;
  for (size_t i = 0; i < next.size(); ++i)
    if (margins[i] <= kMargin)
      ++close;
    else
      EXPECT_EQ(mostLikely(&logits[i * kDemoVocabulary]), next[i]) << "at position " << i;
  double bits = bitsPerByte(logits, targets);
  std::printf("%zu positions, %ld too close to tell, %.6f bits per byte\n", next.size(), close,
              bits);
  EXPECT_NEAR(bits, kReferenceBits, 1e-5);
}

TEST_F(DemoModel, WritesTheTextThatTheReferenceWrites) {
  constexpr int64_t kSteps = 200;
  Ids prompts = rows(readIds("prompt_ids.npy"), 48);
  std::vector<int64_t> lengths = readIds("prompt_lengths.npy"),
                       expected = readIds("greedy_tokens.npy");
  std::vector<double> margins = readNumbers(kDemoFolder / "greedy_margins.npy");
  prompts.resize(std::min<size_t>(prompts.size(), testedRounds(8)));
  int64_t close = 0;
  for (size_t p = 0; p < prompts.size(); ++p) {
    DemoReader reader(demo());
    prompts[p].resize(lengths[p]);
    std::vector<float> logits = reader.read({prompts[p]});
    for (int64_t step = 0; step < kSteps; ++step) {
      int64_t token = mostLikely(&logits[logits.size() - kDemoVocabulary]), at = p * kSteps + step;
      if (margins[at] <= kMargin)
        ++close;
      else
        ASSERT_EQ(token, expected[at]) << "prompt " << p << ", step " << step;
      logits = reader.read({{expected[at]}});
    }
  }
  std::printf("%zu prompts of %ld bytes, %ld too close to tell\n", prompts.size(), kSteps, close);
}

//===--- Fewer bits --------------------------------------------------------===//

/// What weights and activations become, and how far from the reference the
/// logits (calcDiff) and, relative, the bits per byte may be for it.
struct Precision {
  std::string weights, activations;
  double logits, bits;
};

/// Each of two models in one process runs its own code.
TEST_F(DemoModel, TwoModelsAtOnceRunTheirOwnCode) {
  moec::CompileOptions options = testedOptions();
  options.weights = "int8";
  Model other = compileAndLoad(kDemoFolder / "demo.onnx", options);
  ASSERT_TRUE(other);
  Ids prompts = rows(readIds("input_input_ids.npy"), 64);
  std::vector<float> exact = DemoReader(demo()).read(prompts),
                     rounded = DemoReader(other.get()).read(prompts);
  double difference = calcDiff({exact.begin(), exact.end()}, {rounded.begin(), rounded.end()});
  EXPECT_GT(difference, 1e-9);
  EXPECT_LT(difference, 1e-3);
}

class DemoPrecision : public testing::TestWithParam<Precision> {};

TEST_P(DemoPrecision, StaysNearTheReference) {
  moec::CompileOptions options = testedOptions();
  options.weights = GetParam().weights;
  options.activations = GetParam().activations;
  Model model = compileAndLoad(kDemoFolder / "demo.onnx", options);
  ASSERT_TRUE(model);
  std::vector<float> prompts =
      DemoReader(model.get()).read(rows(readIds("input_input_ids.npy"), 64));
  double difference =
      calcDiff({prompts.begin(), prompts.end()}, readNumbers(kDemoFolder / "output_logits.npy"));
  EXPECT_LT(difference, GetParam().logits);
  std::vector<float> heldOut =
      DemoReader(model.get()).read(rows(readIds("held_out_input_ids.npy"), kWindow));
  double bits = bitsPerByte(heldOut, readIds("held_out_targets.npy"));
  std::printf("logits differ by %.1e, %.6f bits per byte\n", difference, bits);
  EXPECT_LT(bits, kReferenceBits * (1 + GetParam().bits));
}

// Each limit is some times what was measured; those of int4 weights are about
// what four bits lose.
INSTANTIATE_TEST_SUITE_P(
    Precisions, DemoPrecision,
    testing::Values(Precision{"f32", "keep", 1e-9, 1e-5}, Precision{"bf16", "keep", 1e-4, 0.01},
                    Precision{"bf16", "bf16", 1e-4, 0.01}, Precision{"int8", "keep", 1e-3, 0.01},
                    Precision{"int8", "int8", 1e-3, 0.01}, Precision{"int4", "keep", 0.02, 0.03},
                    Precision{"int4", "int8", 0.02, 0.03}),
    [](const auto &info) { return info.param.weights + "_" + info.param.activations; });

} // namespace
