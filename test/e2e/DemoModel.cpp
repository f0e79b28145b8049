#include "test/e2e/DemoModel.h"

#include "gtest/gtest.h"

#include <algorithm>

namespace moec::test {
namespace {

void set(moec_tensor &tensor, std::vector<int64_t> &values, std::initializer_list<int64_t> sizes) {
  tensor.data = values.data();
  tensor.type = MOEC_I64;
  tensor.rank = static_cast<int32_t>(sizes.size());
  std::copy(sizes.begin(), sizes.end(), tensor.sizes);
}

} // namespace

std::vector<float> DemoReader::read(const Ids &ids) {
  int64_t total = moec_session_length(get()) + ids.front().size();
  return run(ids, std::vector<int64_t>(ids.size() * total, 1));
}

std::vector<float> DemoReader::readRagged(const Ids &ids, const std::vector<int64_t> &lengths) {
  int64_t total = moec_session_length(get()) + ids.front().size();
  std::vector<int64_t> mask;
  for (int64_t length : lengths)
    for (int64_t at = 0; at < total; ++at)
      mask.push_back(at < length);
  return run(ids, std::move(mask));
}

std::vector<float> DemoReader::run(const Ids &ids, std::vector<int64_t> mask) {
  int64_t batch = ids.size(), count = ids.front().size();
  std::vector<int64_t> tokens;
  for (const auto &row : ids)
    tokens.insert(tokens.end(), row.begin(), row.end());
  std::vector<moec_tensor> inputs(moec_model_input_count(model));
  set(inputs[moec_model_find_input(model, "input_ids")], tokens, {batch, count});
  set(inputs[moec_model_find_input(model, "attention_mask")], mask,
      {batch, static_cast<int64_t>(mask.size()) / batch});
  std::vector<moec_tensor> outputs(moec_model_output_count(model));
  EXPECT_EQ(moec_session_run(get(), inputs.data(), outputs.data()), MOEC_OK) << moec_last_error();
  const moec_tensor &logits = outputs[moec_model_find_output(model, "logits")];
  auto *data = static_cast<const float *>(logits.data);
  return {data, data + batch * count * kDemoVocabulary};
}

int64_t mostLikely(const float *logits) {
  return std::max_element(logits, logits + kDemoVocabulary) - logits;
}

} // namespace moec::test
