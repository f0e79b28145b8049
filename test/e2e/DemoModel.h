//===- DemoModel.h - the demo model in tests -------------------------------===//
#pragma once

#include "test/e2e/TestModel.h"

namespace moec::test {

const std::filesystem::path kDemoFolder = std::filesystem::path(MOEC_TEST_MODELS) / "demo";
constexpr int64_t kDemoVocabulary = 256;

/// Rows of token ids, one per sequence.
using Ids = std::vector<std::vector<int64_t>>;

/// A session of the demo model that is fed tokens; it keeps the caches.
class DemoReader {
public:
  explicit DemoReader(moec_model *model, int threads = 0)
      : DemoReader(model, createSession(model, threads)) {}
  DemoReader(moec_model *model, Session session) : model(model), session(std::move(session)) {}

  /// Appends one row of tokens per sequence, all of one length, and returns the
  /// logits [B, S, V].
  std::vector<float> read(const Ids &ids);

  /// The same for sequences that are `lengths` long afterwards: what a row has
  /// past its length is padding, and so are its logits.
  std::vector<float> readRagged(const Ids &ids, const std::vector<int64_t> &lengths);

  moec_session *get() { return session.get(); }

private:
  std::vector<float> run(const Ids &ids, std::vector<int64_t> mask);

  moec_model *model;
  Session session;
};

/// The first of the largest logits of a row.
int64_t mostLikely(const float *logits);

} // namespace moec::test
