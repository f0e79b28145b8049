//===- Sampler.h - choose the next token -----------------------------------===//
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace moec::tools {

struct SamplingOptions {
  double temperature = 0; // 0: always the most likely token
  int64_t topK = 0;       // only among the k most likely; 0: all
  double topP = 1;        // only among the most likely that together have p
  uint64_t seed = 0;
};

/// The same seed gives the same choices everywhere.
class Sampler {
public:
  explicit Sampler(const SamplingOptions &options) : options(options), random(options.seed) {}

  /// The first of equally likely tokens comes before the others.
  int64_t choose(const float *logits, int64_t vocabulary);

private:
  struct Candidate {
    int64_t id;
    double weight;
  };
  std::vector<Candidate> candidates(const float *logits, int64_t vocabulary) const;

  SamplingOptions options;
  std::mt19937_64 random;
};

} // namespace moec::tools
