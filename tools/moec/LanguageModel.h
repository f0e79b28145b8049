//===- LanguageModel.h - token ids in, logits out --------------------------===//
#pragma once

#include "tools/moec/Session.h"

namespace moec::tools {

/// Feeds a decoder what exporters ask for: input_ids, attention_mask,
/// position_ids. The session keeps pasts; a model without any computes the
/// whole text again at every step.
class LanguageModel {
public:
  /// Fails when the model has other inputs, or no logits.
  Status attach(const LoadedModel &loaded, int64_t batch);

  /// Continues each row of the batch with the same number of tokens; `ids` is
  /// [batch, count].
  Status advance(const std::vector<int64_t> &ids);
  /// Forgets the text.
  void reset();

  /// Of the tokens that follow, [batch, vocabulary]; after advance.
  const std::vector<float> &logits() const { return logits_; }
  /// -1 as long as neither the model nor a run has told.
  int64_t vocabulary() const { return vocabulary_; }
  int64_t batch() const { return batch_; }
  int64_t length() const { return length_; }

private:
  Status findInputs();
  Status readLogits();

  moec_model *model = nullptr;
  moec_session *session = nullptr;
  int64_t batch_ = 1, length_ = 0, vocabulary_ = -1;
  int32_t idsInput = -1, maskInput = -1, positionsInput = -1, logitsOutput = -1;
  bool keepsState = false;
  /// Everything so far, [batch, length], for models without state.
  std::vector<int64_t> text;
  /// The integers of each input, as the model wants them.
  std::vector<std::vector<char>> memory;
  std::vector<moec_tensor> inputs, outputs;
  std::vector<float> logits_;
};

/// An element of a floating-point tensor.
float readFloat(int32_t type, const void *data, int64_t index);

} // namespace moec::tools
