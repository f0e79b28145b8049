// The demo model gives the same bits whatever the batch, the padding, the split
// of a prompt and the number of threads, on every chip level of this machine and
// for every type of weights and activations. With MOEC_TEST_TARGET=cuda, on the
// GPU; MOEC_TEST_ROUNDS says how many rounds of random inputs there are.
#include "test/e2e/DemoModel.h"

#include "gtest/gtest.h"

#include <cstring>
#include <map>
#include <random>

namespace {

using namespace moec::test;

/// Rounds of random inputs; the seeds are new in every run, and printed.
int rounds() { return testedRounds(20); }
/// Keys of an attention chunk: lengths and splits should straddle them.
constexpr int64_t kChunk = 64;

struct Variant {
  std::string chip, weights = "keep", activations = "keep";
  std::string name() const {
    std::string name = chip + "_" + weights + "_" + activations;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
  }
};

void PrintTo(const Variant &variant, std::ostream *out) { *out << variant.name(); }

class DemoBits : public testing::TestWithParam<Variant> {
protected:
  void SetUp() override {
    auto known = models.find(GetParam().name());
    if (known == models.end()) {
      moec::CompileOptions options = testedOptions();
      options.chip = GetParam().chip;
      options.weights = GetParam().weights;
      options.activations = GetParam().activations;
      Model compiled = compileAndLoad(kDemoFolder / "demo.onnx", options);
      known = models.emplace(GetParam().name(), std::move(compiled)).first;
    }
    model = known->second.get();
    if (!model && std::string(moec_last_error()).find("this machine lacks") != std::string::npos)
      GTEST_SKIP() << moec_last_error();
    ASSERT_TRUE(model);
  }

  /// Runs `test` with fresh random numbers.
  template <typename Test> void repeat(Test test) {
    for (int round = 0; round < rounds() && !HasFailure(); ++round) {
      unsigned seed = std::random_device{}();
      SCOPED_TRACE("seed " + std::to_string(seed));
      random.seed(seed);
      test();
    }
  }

  int64_t below(int64_t end) { return static_cast<int64_t>(random() % end); }

  std::vector<int64_t> text(int64_t count) {
    std::vector<int64_t> ids(count);
    for (int64_t &id : ids)
      id = below(kDemoVocabulary);
    return ids;
  }

  std::vector<float> readAlone(const std::vector<int64_t> &ids) {
    return DemoReader(model).read({ids});
  }

  /// Compares the logits of all tokens of `expected`.
  static void expectSame(const std::vector<float> &expected, const float *logits,
                         const char *what) {
    EXPECT_EQ(std::memcmp(expected.data(), logits, expected.size() * sizeof(float)), 0) << what;
  }

  /// While the driver of a device is there.
  static void TearDownTestSuite() { models.clear(); }

  moec_model *model = nullptr;
  std::mt19937 random;

private:
  inline static std::map<std::string, Model> models;
};

TEST_P(DemoBits, RowsOfABatchAreSingleRows) {
  repeat([&] {
    bool isLarge = below(20) == 0;
    int64_t batch = isLarge ? 64 : 1 + below(8);
    int64_t count = 1 + below(isLarge ? 8 : 70);
    Ids ids;
    for (int64_t row = 0; row < batch; ++row)
      ids.push_back(text(count));
    std::vector<float> together = DemoReader(model).read(ids);
    int64_t row = below(batch);
    expectSame(readAlone(ids[row]), &together[row * count * kDemoVocabulary], "row of a batch");
  });
}

// Rows that are shorter are padded on the right, in the prompt and in the step
// after it, where each row goes on at its own length.
TEST_P(DemoBits, PaddedRowsAreSingleRows) {
  repeat([&] {
    int64_t batch = 2 + below(4), longest = 2 + below(70);
    std::vector<int64_t> lengths(batch);
    Ids ids(batch), next(batch);
    for (int64_t row = 0; row < batch; ++row) {
      lengths[row] = row == 0 ? longest : 1 + below(longest);
      ids[row] = text(longest);
      next[row] = text(1);
    }
    DemoReader reader(model);
    std::vector<float> prompt = reader.readRagged(ids, lengths);
    std::vector<int64_t> afterwards = lengths;
    for (int64_t &length : afterwards)
      ++length;
    std::vector<float> step = reader.readRagged(next, afterwards);
    int64_t row = below(batch);
    ids[row].resize(lengths[row]);
    DemoReader alone(model);
    expectSame(alone.read({ids[row]}), &prompt[row * longest * kDemoVocabulary], "padded prompt");
    expectSame(alone.read({next[row]}), &step[row * kDemoVocabulary], "step after it");
  });
}

TEST_P(DemoBits, APromptMayBeSplitAnywhere) {
  repeat([&] {
    std::vector<int64_t> ids = text(kChunk / 2 + below(2 * kChunk));
    std::vector<float> whole = readAlone(ids);
    int64_t longest = below(3) ? kChunk : 4;
    DemoReader reader(model);
    for (size_t at = 0; at < ids.size();) {
      size_t count = std::min<size_t>(1 + below(longest), ids.size() - at);
      std::vector<float> part = reader.read({{ids.begin() + at, ids.begin() + at + count}});
      expectSame(part, &whole[at * kDemoVocabulary], "part of a prompt");
      at += count;
    }
  });
}

TEST_P(DemoBits, ThreadsDoNotMatter) {
  repeat([&] {
    int64_t count = 1 + below(70);
    Ids ids = {text(count), text(count), text(count)};
    std::vector<float> one = DemoReader(model, 1).read(ids);
    expectSame(DemoReader(model, 2 + below(5)).read(ids), one.data(), "other thread count");
  });
}

TEST_P(DemoBits, TruncatedStateIsTheStateOfThePrefix) {
  repeat([&] {
    std::vector<int64_t> ids = text(2 + below(2 * kChunk));
    int64_t kept = 1 + below(ids.size() - 1);
    DemoReader reader(model);
    std::vector<float> whole = reader.read({ids});
    ASSERT_EQ(moec_session_truncate(reader.get(), kept), MOEC_OK);
    std::vector<float> again = reader.read({{ids.begin() + kept, ids.end()}});
    expectSame(again, &whole[kept * kDemoVocabulary], "after truncation");
  });
}

std::vector<Variant> variantsOfTarget() {
  moec::CompileOptions options = testedOptions();
  if (options.target != "cpu")
    return {{options.chip},
            {options.chip, "bf16", "bf16"},
            {options.chip, "int8", "bf16"},
            {options.chip, "int4", "bf16"}};
  return {{"x86-64-v2"},
          {"x86-64-v3"},
          {"x86-64-v4"},
          {"native"},
          {"native", "bf16", "bf16"},
          {"native", "int8"},
          {"native", "int4"},
          {"native", "int8", "int8"},
          {"native", "int4", "int8"},
          {"x86-64-v3", "int4", "int8"}};
}

INSTANTIATE_TEST_SUITE_P(Variants, DemoBits, testing::ValuesIn(variantsOfTarget()),
                         [](const auto &info) { return info.param.name(); });

} // namespace
