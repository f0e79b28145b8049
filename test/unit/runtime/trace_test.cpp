// A profile is JSON that Chrome's viewer reads: rows, names, counters.
#include "session_fixture.h"
#include <nlohmann/json.hpp>
#include <set>

namespace {

TEST(TraceTest, NamesNodesThreadsAndTokens) {
  ToyFiles files(testTarget());
  moec_model *model = nullptr;
  moec_session *session = nullptr;
  moec_session_options options{.threads = 3};
  ASSERT_EQ(moec_model_load(files.artifact().c_str(), nullptr, &model), MOEC_OK);
  ASSERT_EQ(moec_session_create(model, &options, &session), MOEC_OK);
  std::vector<float> x = toyInput(2, 5);
  moec_tensor inputs[2] = {tensorOf(x, {2, 5, 4}), {}}, outputs[2];
  ASSERT_EQ(moec_session_run(session, inputs, outputs), MOEC_OK);
  ASSERT_EQ(moec_session_profile_start(session), MOEC_OK);
  ASSERT_EQ(moec_session_run(session, inputs, outputs), MOEC_OK);
  std::string path = files.path("trace.json");
  ASSERT_EQ(moec_session_profile_write(session, path.c_str()), MOEC_OK) << moec_last_error();

  auto trace = nlohmann::json::parse(readAll(path));
  std::set<std::string> kernels, rows;
  std::set<int> rowsUsed;
  nlohmann::json tokens;
  for (const auto &event : trace["traceEvents"]) {
    if (event["ph"] == "X" && event["args"].contains("kernel")) {
      kernels.insert(event["name"].get<std::string>());
      EXPECT_GE(event["dur"].get<double>(), 0);
      EXPECT_LT(event["tid"].get<int>(), 3);
    } else if (event["ph"] == "M" && event["name"] == "thread_name") {
      rows.insert(event["args"]["name"].get<std::string>());
    } else if (event["ph"] == "C") {
      EXPECT_TRUE(tokens.is_null()) << "only one run is recorded";
      EXPECT_EQ(event["name"], "tokens per expert: /toy/CumSum");
      tokens = event["args"];
    }
  }
  EXPECT_EQ(kernels, (std::set<std::string>{"/toy/Mul", "/toy/\"Concat\"", "/toy/CumSum"}));
  if (testTarget() == "cpu")
    EXPECT_EQ(rows, (std::set<std::string>{"caller 0", "worker 1", "worker 2"}));
  else
    EXPECT_EQ(rows, (std::set<std::string>{"caller 0"}));
  EXPECT_EQ(tokens, nlohmann::json::parse(R"({"0": 1, "1": 9})"));
  EXPECT_EQ(moec_session_profile_write(session, files.path("no/trace.json").c_str()), MOEC_IO);
  moec_session_release(session);
  moec_model_release(model);
}

} // namespace
