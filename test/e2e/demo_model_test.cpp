// The demo model, compiled and run, writes what its float64 reference writes,
// and the same bits whatever the batch, the split and the threads are.
#include "test/e2e/TestModel.h"

#include "gtest/gtest.h"

#include <cmath>
#include <cstring>
#include <random>

namespace {

using namespace moec::test;
namespace fs = std::filesystem;

const fs::path kFolder = fs::path(MOEC_TEST_MODELS) / "demo";
constexpr int64_t kVocabulary = 256;
/// Where the best two logits of the reference are closer, either may win.
constexpr double kMargin = 1e-4;

moec_model *demo() {
  static Model model = compileAndLoad(kFolder / "demo.onnx");
  return model.get();
}

using Ids = std::vector<std::vector<int64_t>>;

/// A session that is fed tokens; it keeps the caches.
class Reader {
public:
  explicit Reader(int threads = 0) : session(createSession(demo(), threads)) {}

  /// Appends one row of tokens per sequence and returns the logits [B, S, V].
  std::vector<float> read(const Ids &ids) {
    int64_t batch = ids.size(), count = ids.front().size();
    std::vector<int64_t> tokens;
    for (const auto &row : ids)
      tokens.insert(tokens.end(), row.begin(), row.end());
    int64_t total = moec_session_length(session.get()) + count;
    std::vector<int64_t> mask(batch * total, 1);
    std::vector<moec_tensor> inputs(moec_model_input_count(demo()));
    set(inputs, "input_ids", tokens, {batch, count});
    set(inputs, "attention_mask", mask, {batch, total});
    std::vector<moec_tensor> outputs(moec_model_output_count(demo()));
    EXPECT_EQ(moec_session_run(session.get(), inputs.data(), outputs.data()), MOEC_OK)
        << moec_last_error();
    const moec_tensor &logits = outputs[moec_model_find_output(demo(), "logits")];
    auto *data = static_cast<const float *>(logits.data);
    return {data, data + batch * count * kVocabulary};
  }

  moec_session *get() { return session.get(); }

private:
  static void set(std::vector<moec_tensor> &inputs, const char *name, std::vector<int64_t> &values,
                  std::initializer_list<int64_t> sizes) {
    moec_tensor &tensor = inputs[moec_model_find_input(demo(), name)];
    tensor.data = values.data();
    tensor.type = MOEC_I64;
    tensor.rank = static_cast<int32_t>(sizes.size());
    std::copy(sizes.begin(), sizes.end(), tensor.sizes);
  }

  Session session;
};

int64_t mostLikely(const float *logits) {
  return std::max_element(logits, logits + kVocabulary) - logits;
}

std::vector<int64_t> readIds(const char *name) {
  std::vector<int64_t> ids;
  for (double value : readNumbers(kFolder / name))
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
  std::vector<float> logits = Reader().read(rows(readIds("held_out_input_ids.npy"), kWindow));
  std::vector<int64_t> next = readIds("held_out_next.npy"),
                       targets = readIds("held_out_targets.npy");
  std::vector<double> margins = readNumbers(kFolder / "held_out_margins.npy");
  int64_t close = 0;
  double bits = 0;
  for (size_t i = 0; i < next.size(); ++i) {
    const float *row = &logits[i * kVocabulary];
    if (margins[i] <= kMargin)
      ++close;
    else
      EXPECT_EQ(mostLikely(row), next[i]) << "at position " << i;
    double sum = 0;
    for (int64_t v = 0; v < kVocabulary; ++v)
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
  std::vector<double> margins = readNumbers(kFolder / "greedy_margins.npy");
  int64_t close = 0;
  for (size_t p = 0; p < prompts.size(); ++p) {
    Reader reader;
    prompts[p].resize(lengths[p]);
    std::vector<float> logits = reader.read({prompts[p]});
    for (int64_t step = 0; step < kSteps; ++step) {
      int64_t token = mostLikely(&logits[logits.size() - kVocabulary]), at = p * kSteps + step;
      if (margins[at] <= kMargin)
        ++close;
      else
        ASSERT_EQ(token, expected[at]) << "prompt " << p << ", step " << step;
      logits = reader.read({{expected[at]}});
    }
  }
  std::printf("%zu prompts of %ld bytes, %ld too close to tell\n", prompts.size(), kSteps, close);
}

//===--- The same bits ------------------------------------------------------===//

class DemoBits : public testing::Test {
protected:
  std::vector<int64_t> text(int64_t count) {
    std::vector<int64_t> ids(count);
    for (int64_t &id : ids)
      id = random() % kVocabulary;
    return ids;
  }

  static void expectSame(const std::vector<float> &a, const float *b, const char *what) {
    EXPECT_EQ(std::memcmp(a.data(), b, a.size() * sizeof(float)), 0) << what;
  }

  std::mt19937 random{std::random_device{}()};
};

TEST_F(DemoBits, RowsOfABatchAreSingleRows) {
  ASSERT_TRUE(demo());
  for (int64_t batch : {2, 7, 16}) {
    int64_t count = 1 + random() % 90;
    Ids ids;
    for (int64_t row = 0; row < batch; ++row)
      ids.push_back(text(count));
    std::vector<float> together = Reader().read(ids);
    for (int64_t row = 0; row < batch; ++row)
      expectSame(Reader().read({ids[row]}), &together[row * count * kVocabulary], "row of a batch");
  }
}

TEST_F(DemoBits, APromptMayBeSplitAnywhere) {
  ASSERT_TRUE(demo());
  std::vector<int64_t> ids = text(150);
  std::vector<float> whole = Reader().read({ids});
  for (int round = 0; round < 6; ++round) {
    Reader reader;
    for (size_t at = 0; at < ids.size();) {
      size_t count = std::min<size_t>(1 + random() % (round < 3 ? 70 : 5), ids.size() - at);
      std::vector<float> part = reader.read({{ids.begin() + at, ids.begin() + at + count}});
      expectSame(part, &whole[at * kVocabulary], "part of a prompt");
      at += count;
    }
  }
}

TEST_F(DemoBits, ThreadsDoNotMatter) {
  ASSERT_TRUE(demo());
  Ids ids = {text(65), text(65), text(65)};
  std::vector<float> one = Reader(1).read(ids);
  for (int threads : {2, 3, 5})
    expectSame(Reader(threads).read(ids), one.data(), "other thread count");
}

TEST_F(DemoBits, TruncatedStateIsTheStateOfThePrefix) {
  ASSERT_TRUE(demo());
  std::vector<int64_t> ids = text(100);
  Reader reader;
  reader.read({ids});
  ASSERT_EQ(moec_session_truncate(reader.get(), 40), MOEC_OK);
  std::vector<float> again = reader.read({{ids.begin() + 40, ids.end()}});
  std::vector<float> whole = Reader().read({ids});
  expectSame(again, &whole[40 * kVocabulary], "after truncation");
}

} // namespace
