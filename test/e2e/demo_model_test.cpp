// The demo model, compiled and run, writes what its float64 reference writes.
#include "test/e2e/DemoModel.h"

#include "gtest/gtest.h"

#include <cmath>

namespace {

using namespace moec::test;

/// Where the best two logits of the reference are closer, either may win.
constexpr double kMargin = 1e-4;

moec_model *demo() {
  static Model model = compileAndLoad(kDemoFolder / "demo.onnx");
  return model.get();
}

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

TEST(DemoModel, PredictsHeldOutTextLikeTheReference) {
  ASSERT_TRUE(demo());
  constexpr int64_t kWindow = 256;
  std::vector<float> logits =
      DemoReader(demo()).read(rows(readIds("held_out_input_ids.npy"), kWindow));
  std::vector<int64_t> next = readIds("held_out_next.npy"),
                       targets = readIds("held_out_targets.npy");
  std::vector<double> margins = readNumbers(kDemoFolder / "held_out_margins.npy");
  int64_t close = 0;
  double bits = 0;
  for (size_t i = 0; i < next.size(); ++i) {
    const float *row = &logits[i * kDemoVocabulary];
    if (margins[i] <= kMargin)
      ++close;
    else
      EXPECT_EQ(mostLikely(row), next[i]) << "at position " << i;
    double sum = 0;
    for (int64_t v = 0; v < kDemoVocabulary; ++v)
      sum += std::exp(double(row[v]));
    bits += std::log2(sum) - row[targets[i]] / std::log(2.0);
  }
  std::printf("%zu positions, %ld too close to tell, %.6f bits per byte\n", next.size(), close,
              bits / next.size());
  EXPECT_NEAR(bits / next.size(), 1.4306458, 1e-5);
}

TEST(DemoModel, WritesTheTextThatTheReferenceWrites) {
  ASSERT_TRUE(demo());
  constexpr int64_t kSteps = 200;
  Ids prompts = rows(readIds("prompt_ids.npy"), 48);
  std::vector<int64_t> lengths = readIds("prompt_lengths.npy"),
                       expected = readIds("greedy_tokens.npy");
  std::vector<double> margins = readNumbers(kDemoFolder / "greedy_margins.npy");
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

} // namespace
