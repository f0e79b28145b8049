// Sampling draws from the distribution that its options describe.
#include "tools/moec/Sampler.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace moec::tools;

namespace {

/// How often each of the logits is drawn.
std::vector<double> frequencies(const SamplingOptions &options, const std::vector<float> &logits) {
  constexpr int kDraws = 20000;
  Sampler sampler(options);
  std::vector<double> result(logits.size());
  for (int i = 0; i < kDraws; ++i)
    result[sampler.choose(logits.data(), static_cast<int64_t>(logits.size()))] += 1.0 / kDraws;
  return result;
}

// Logits of the probabilities 0.1, 0.4, 0.2, 0.3.
const std::vector<float> kLogits = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};

void expectNear(const std::vector<double> &found, const std::vector<double> &expected) {
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], expected[i] == 0 ? 0 : 0.015) << "token " << i;
}

TEST(SamplerTest, GreedyTakesTheFirstOfTheMostLikely) {
  const std::vector<float> ties = {0, 3, 3, 1};
  EXPECT_EQ(Sampler({}).choose(ties.data(), 4), 1);
}

TEST(SamplerTest, DrawsByProbability) {
  expectNear(frequencies({.temperature = 1}, kLogits), {0.1, 0.4, 0.2, 0.3});
  // Squares of the probabilities, normalised.
  expectNear(frequencies({.temperature = 0.5}, kLogits), {1 / 30., 16 / 30., 4 / 30., 9 / 30.});
}

TEST(SamplerTest, TopKAndTopPCutTheTail) {
  expectNear(frequencies({.temperature = 1, .topK = 2}, kLogits), {0, 4 / 7., 0, 3 / 7.});
  expectNear(frequencies({.temperature = 1, .topP = 0.75}, kLogits), {0, 4 / 9., 2 / 9., 3 / 9.});
  expectNear(frequencies({.temperature = 1, .topP = 0}, kLogits), {0, 1, 0, 0});
}

TEST(SamplerTest, SeedsRepeat) {
  EXPECT_EQ(frequencies({.temperature = 1, .seed = 7}, kLogits),
            frequencies({.temperature = 1, .seed = 7}, kLogits));
  EXPECT_NE(frequencies({.temperature = 1, .seed = 7}, kLogits),
            frequencies({.temperature = 1, .seed = 8}, kLogits));
}

} // namespace
