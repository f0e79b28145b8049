#include "tools/moec/Sampler.h"

#include <algorithm>
#include <cmath>

namespace moec::tools {

/// The most likely first, with weights relative to the first's, as far as
/// top-k and top-p let them take part.
std::vector<Sampler::Candidate> Sampler::candidates(const float *logits, int64_t vocabulary) const {
  std::vector<Candidate> list;
  list.reserve(vocabulary);
  for (int64_t id = 0; id < vocabulary; ++id)
    list.push_back({id, logits[id]});
  std::stable_sort(list.begin(), list.end(),
                   [](const Candidate &a, const Candidate &b) { return a.weight > b.weight; });
  if (options.topK && options.topK < vocabulary)
    list.resize(options.topK);
  double most = list.front().weight, total = 0;
  for (Candidate &candidate : list)
    total += candidate.weight = std::exp((candidate.weight - most) / options.temperature);
  double sum = 0;
  size_t count = 0;
  while (count < list.size() && (count == 0 || sum < options.topP * total))
    sum += list[count++].weight;
  list.resize(count);
  return list;
}

int64_t Sampler::choose(const float *logits, int64_t vocabulary) {
  if (options.temperature == 0)
    return std::max_element(logits, logits + vocabulary) - logits;
  std::vector<Candidate> list = candidates(logits, vocabulary);
  double total = 0;
  for (const Candidate &candidate : list)
    total += candidate.weight;
  // 53 random bits: std::uniform_real_distribution differs among libraries.
  double point = static_cast<double>(random() >> 11) * 0x1p-53 * total;
  for (const Candidate &candidate : list) {
    point -= candidate.weight;
    if (point < 0)
      return candidate.id;
  }
  return list.back().id;
}

} // namespace moec::tools
