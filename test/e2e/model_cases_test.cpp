// Every model under test/models, compiled and run, gives what its float64
// reference gives, for a prompt and for the step after it; and the same bits
// whether the session or the caller keeps the past, on one thread and on two.
// MOEC_TEST_TARGET and MOEC_TEST_CHIP say what the models are compiled for.
#include "test/e2e/TestModel.h"
#include "tools/moec/Session.h"

#include "nlohmann/json.hpp"
#include "gtest/gtest.h"

#include <cstring>
#include <deque>
#include <fstream>

namespace {

using namespace moec::test;
namespace fs = std::filesystem;
using nlohmann::json;

/// Of models whose arithmetic is kept.
constexpr double kFloatLimit = 1e-9;
/// Of models that permit to round activations to eight bits (accuracy_level 4);
/// ONNX Runtime stays within 1.1e-4.
constexpr double kRoundedLimit = 1.5e-4;

const fs::path kModels = MOEC_TEST_MODELS;

/// The models with a case beside them, relative to kModels.
std::vector<fs::path> findModels() {
  std::vector<fs::path> models;
  for (const auto &entry : fs::recursive_directory_iterator(kModels))
    if (entry.path().extension() == ".onnx" && fs::exists(entry.path().parent_path() / "case.json"))
      models.push_back(fs::relative(entry.path(), kModels));
  std::sort(models.begin(), models.end());
  return models;
}

/// Inputs and the reference's outputs; test/models/README.md describes the file.
class Case {
public:
  explicit Case(fs::path folder) : folder(std::move(folder)) {
    std::ifstream file(this->folder / "case.json");
    description = json::parse(file, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(description.is_object()) << this->folder;
  }

  std::string contribSemantics() const { return description.value("contrib_semantics", ""); }

  /// The inputs by index, in memory of this case.
  std::vector<moec_tensor> readInputs(moec_model *model) {
    std::vector<moec_tensor> inputs(moec_model_input_count(model));
    arrays.resize(inputs.size());
    for (const auto &[name, path] : description["inputs"].items()) {
      int32_t index = moec_model_find_input(model, name.c_str());
      if (index < 0) {
        ADD_FAILURE() << "no input " << name;
        continue;
      }
      moec_tensor_info info;
      moec_model_input(model, index, &info);
      arrays[index] = readArray(folder / path.get<std::string>(), info.type);
      inputs[index] = arrays[index].tensor();
    }
    return inputs;
  }

  void expectReference(moec_model *model, const std::vector<moec_tensor> &outputs,
                       double limit = kFloatLimit) const {
    for (const auto &[name, path] : description["outputs"].items()) {
      int32_t index = moec_model_find_output(model, name.c_str());
      ASSERT_GE(index, 0) << "no output " << name;
      EXPECT_LT(calcDiff(toNumbers(outputs[index]), readNumbers(folder / path.get<std::string>())),
                limit)
          << name;
    }
  }

private:
  fs::path folder;
  json description;
  std::vector<moec::tools::Array> arrays;
};

class ModelCases : public testing::TestWithParam<fs::path> {
protected:
  void SetUp() override {
    fs::path onnx = kModels / GetParam();
    cases.emplace_back(onnx.parent_path());
    if (fs::path next = onnx.parent_path() / "decode"; fs::exists(next))
      cases.emplace_back(next);
    moec::CompileOptions options = testedOptions();
    options.contribSemantics = cases.front().contribSemantics();
    isDevice = options.target != "cpu";
    options.activations = "keep";
    model = compileAndLoad(onnx, options);
    ASSERT_TRUE(model);
  }

  std::vector<moec_tensor> run(moec_session *session, const std::vector<moec_tensor> &inputs) {
    std::vector<moec_tensor> outputs(moec_model_output_count(model.get()));
    EXPECT_EQ(moec_session_run(session, inputs.data(), outputs.data()), MOEC_OK)
        << moec_last_error();
    if (moec::runtime::Status error = moec::tools::fetchState(session, outputs, copies))
      ADD_FAILURE() << error.message();
    return outputs;
  }

  /// The output whose rows the input `index` is the past of, or -1.
  int32_t presentOf(size_t index) {
    moec_tensor_info info;
    moec_model_input(model.get(), static_cast<int32_t>(index), &info);
    return info.state;
  }

  enum class Past { callers, sessions };

  /// The numbers of all outputs of all cases, one after the other; a past that
  /// can be state is what the case before has made.
  std::vector<double> runAll(Past past, moec_session *session) {
    EXPECT_EQ(moec_session_reset(session), MOEC_OK);
    std::vector<double> numbers;
    std::vector<moec_tensor> outputs;
    for (Case &each : cases) {
      std::vector<moec_tensor> inputs = each.readInputs(model.get());
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (int32_t present = presentOf(i); present < 0)
          continue;
        else if (past == Past::sessions)
          inputs[i] = {};
        else if (!outputs.empty())
          inputs[i] = outputs[present];
      }
      outputs = run(session, inputs);
      for (const moec_tensor &output : outputs) {
        std::vector<double> more = toNumbers(output);
        numbers.insert(numbers.end(), more.begin(), more.end());
      }
    }
    return numbers;
  }
  std::vector<double> runAll(Past past, int threads) {
    return runAll(past, createSession(model.get(), threads).get());
  }

  Model model;
  bool isDevice = false;
  std::vector<Case> cases;
  /// Of state in a device's memory.
  std::deque<std::vector<char>> copies;
};

TEST_P(ModelCases, MatchTheirReferencesBitForBitEveryWay) {
  for (Case &each : cases) {
    Session session = createSession(model.get());
    each.expectReference(model.get(), run(session.get(), each.readInputs(model.get())));
  }
  std::vector<double> numbers = runAll(Past::callers, 1);
  auto expectSame = [&](const std::vector<double> &others, const char *what) {
    ASSERT_EQ(others.size(), numbers.size()) << what;
    EXPECT_EQ(std::memcmp(others.data(), numbers.data(), numbers.size() * sizeof(double)), 0)
        << what;
  };
  // What a session does again, a device may do by other means, such as graphs.
  Session session = createSession(model.get(), 1);
  for (int round = 0; round < (isDevice ? 3 : 1); ++round)
    expectSame(runAll(Past::sessions, session.get()), "state kept by the session");
  if (isDevice)
    return;
  expectSame(runAll(Past::callers, 2), "two threads");
  expectSame(runAll(Past::sessions, 2), "state kept by the session, two threads");
}

/// Where the model permits it and the user says nothing, activations are
/// rounded: the results are others, but near.
TEST(RoundedActivations, StayNearTheReference) {
  fs::path folder = kModels / "exports/gpt-oss-genai-int4";
  std::vector<std::vector<double>> logits;
  for (const char *activations : {"keep", ""}) {
    Case prompt(folder);
    moec::CompileOptions options;
    options.contribSemantics = prompt.contribSemantics();
    options.activations = activations;
    Model model = compileAndLoad(folder / "model.onnx", options);
    ASSERT_TRUE(model);
    Session session = createSession(model.get());
    std::vector<moec_tensor> inputs = prompt.readInputs(model.get());
    std::vector<moec_tensor> outputs(moec_model_output_count(model.get()));
    ASSERT_EQ(moec_session_run(session.get(), inputs.data(), outputs.data()), MOEC_OK)
        << moec_last_error();
    prompt.expectReference(model.get(), outputs, kRoundedLimit);
    logits.push_back(toNumbers(outputs[moec_model_find_output(model.get(), "logits")]));
  }
  double difference = calcDiff(logits[0], logits[1]);
  std::printf("rounding activations changes the logits by %.1e\n", difference);
  EXPECT_GT(difference, kFloatLimit);
}

std::string modelName(const testing::TestParamInfo<fs::path> &info) {
  std::string name = info.param.parent_path().filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, ModelCases, testing::ValuesIn(findModels()), modelName);

} // namespace
