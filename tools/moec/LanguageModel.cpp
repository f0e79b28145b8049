#include "tools/moec/LanguageModel.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace moec::tools {
namespace {

float halfToFloat(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  float fraction = static_cast<float>(bits & 1023);
  float value = exponent == 31  ? (fraction ? NAN : INFINITY)
                : exponent == 0 ? std::ldexp(fraction, -24)
                                : std::ldexp(fraction + 1024, exponent - 25);
  return bits & 0x8000 ? -value : value;
}

} // namespace

float readFloat(int32_t type, const void *data, int64_t index) {
  switch (type) {
  case MOEC_F32:
    return static_cast<const float *>(data)[index];
  case MOEC_F64:
    return static_cast<float>(static_cast<const double *>(data)[index]);
  case MOEC_F16:
    return halfToFloat(static_cast<const uint16_t *>(data)[index]);
  case MOEC_BF16:
    return std::bit_cast<float>(uint32_t(static_cast<const uint16_t *>(data)[index]) << 16);
  default:
    return NAN;
  }
}

Status LanguageModel::attach(const LoadedModel &loaded, int64_t batch) {
  model = loaded.model;
  session = loaded.session;
  batch_ = batch;
  inputs.assign(moec_model_input_count(model), {});
  outputs.resize(moec_model_output_count(model));
  memory.resize(inputs.size());
  if (Status error = findInputs())
    return error;
  logitsOutput = moec_model_find_output(model, "logits");
  if (logitsOutput < 0)
    return failure(MOEC_INVALID_ARGUMENT, "the model has no output 'logits'");
  moec_tensor_info info;
  moec_model_output(model, logitsOutput, &info);
  if (info.rank != 3 || std::isnan(readFloat(info.type, "\0\0\0\0\0\0\0\0", 0)))
    return failure(MOEC_INVALID_ARGUMENT,
                   "output 'logits' is %s, but [batch, sequence, vocabulary] of floats is needed",
                   typeText(info).c_str());
  vocabulary_ = info.sizes[2];
  return {};
}

Status LanguageModel::findInputs() {
  for (int32_t i = 0; i < static_cast<int32_t>(inputs.size()); ++i) {
    moec_tensor_info info;
    moec_model_input(model, i, &info);
    std::string name = info.name;
    int32_t *place = name == "input_ids"        ? &idsInput
                     : name == "attention_mask" ? &maskInput
                     : name == "position_ids"   ? &positionsInput
                                                : nullptr;
    if (info.state >= 0) {
      keepsState = true;
    } else if (!place) {
      return failure(MOEC_INVALID_ARGUMENT,
                     "the model has input '%s', which is neither state nor one of input_ids, "
                     "attention_mask, position_ids",
                     info.name);
    } else {
      *place = i;
      if (info.rank != 2 || (info.type != MOEC_I64 && info.type != MOEC_I32))
        return failure(MOEC_INVALID_ARGUMENT,
                       "input '%s' is %s, but [batch, sequence] of integers is needed", info.name,
                       typeText(info).c_str());
    }
  }
  if (idsInput < 0)
    return failure(MOEC_INVALID_ARGUMENT, "the model has no input 'input_ids'");
  return {};
}

/// Makes an input [batch, count] of the integers value(row, column).
template <typename Value>
static void fillTensor(moec_model *model, int32_t input, int64_t batch, int64_t count,
                       std::vector<char> &memory, moec_tensor &tensor, Value value) {
  moec_tensor_info info;
  moec_model_input(model, input, &info);
  size_t bytes = info.type == MOEC_I64 ? 8 : 4;
  memory.resize(batch * count * bytes);
  for (int64_t row = 0; row < batch; ++row)
    for (int64_t column = 0; column < count; ++column) {
      int64_t element = value(row, column);
      // Little-endian: the low half is where a 32-bit integer is.
      std::memcpy(memory.data() + (row * count + column) * bytes, &element, bytes);
    }
  tensor = {};
  tensor.data = memory.data();
  tensor.type = info.type;
  tensor.rank = 2;
  tensor.sizes[0] = batch;
  tensor.sizes[1] = count;
}

Status LanguageModel::advance(const std::vector<int64_t> &ids) {
  int64_t count = static_cast<int64_t>(ids.size()) / batch_, total = length_ + count;
  if (!keepsState) {
    std::vector<int64_t> longer;
    for (int64_t row = 0; row < batch_; ++row) {
      longer.insert(longer.end(), text.begin() + row * length_, text.begin() + (row + 1) * length_);
      longer.insert(longer.end(), ids.begin() + row * count, ids.begin() + (row + 1) * count);
    }
    text = std::move(longer);
  }
  const std::vector<int64_t> &source = keepsState ? ids : text;
  int64_t fed = keepsState ? count : total;
  auto fill = [&](int32_t input, int64_t columns, auto value) {
    if (input >= 0)
      fillTensor(model, input, batch_, columns, memory[input], inputs[input], value);
  };
  fill(idsInput, fed, [&](int64_t row, int64_t column) { return source[row * fed + column]; });
  fill(maskInput, total, [](int64_t, int64_t) { return int64_t(1); });
  fill(positionsInput, fed, [&](int64_t, int64_t column) { return total - fed + column; });
  if (Status error = lastError(moec_session_run(session, inputs.data(), outputs.data())))
    return error;
  length_ = total;
  return readLogits();
}

Status LanguageModel::readLogits() {
  const moec_tensor &tensor = outputs[logitsOutput];
  if (tensor.sizes[0] != batch_ || tensor.sizes[1] < 1)
    return failure(MOEC_EXECUTION_FAILED, "output 'logits' is of another batch");
  vocabulary_ = tensor.sizes[2];
  logits_.resize(batch_ * vocabulary_);
  for (int64_t row = 0; row < batch_; ++row)
    for (int64_t id = 0; id < vocabulary_; ++id)
      logits_[row * vocabulary_ + id] =
          readFloat(tensor.type, tensor.data,
                    row * tensor.strides[0] + (tensor.sizes[1] - 1) * tensor.strides[1] + id);
  return {};
}

void LanguageModel::reset() {
  length_ = 0;
  text.clear();
  moec_session_reset(session);
}

} // namespace moec::tools
