//===- session_fixture.h - a session of the toy model ----------------------===//
#pragma once

#include "toy_files.h"
#include "gtest/gtest.h"

#include <cstdlib>

/// MOEC_TEST_TARGET, "cpu" unless it is set: what the tests run on.
inline std::string testTarget() {
  const char *target = std::getenv("MOEC_TEST_TARGET");
  return target ? target : "cpu";
}

class SessionFixture : public testing::Test {
protected:
  SessionFixture() : files(testTarget()) {
    EXPECT_EQ(moec_model_load(files.artifact().c_str(), nullptr, &model), MOEC_OK)
        << moec_last_error();
    session = create({});
  }
  ~SessionFixture() override {
    moec_session_release(session);
    moec_model_release(model);
  }

  moec_session *create(moec_session_options options) {
    moec_session *created = nullptr;
    EXPECT_EQ(moec_session_create(model, &options, &created), MOEC_OK) << moec_last_error();
    return created;
  }

  /// Runs on x [batch, rows, 4] with the state that the session keeps, and
  /// returns the sums.
  std::vector<float> run(moec_session *session, std::vector<float> x, int64_t batch) {
    int64_t rows = static_cast<int64_t>(x.size()) / 4 / batch;
    moec_tensor inputs[2] = {tensorOf(x, {batch, rows, 4}), {}}, outputs[2];
    EXPECT_EQ(moec_session_run(session, inputs, outputs), MOEC_OK) << moec_last_error();
    return contents(outputs[0]);
  }

  /// State that the session keeps, wherever it is.
  std::vector<float> readState(moec_session *session, const moec_tensor &present) {
    int64_t count = 1;
    for (int32_t dim = 0; dim < present.rank; ++dim)
      count *= present.sizes[dim];
    std::vector<float> state(count);
    EXPECT_EQ(moec_session_read_state(session, 1, state.data(), count * sizeof(float)), MOEC_OK)
        << moec_last_error();
    return state;
  }

  /// Expects that running on these inputs fails with a text.
  void expectError(const std::vector<moec_tensor> &inputs, moec_status status,
                   const std::string &text) {
    moec_tensor outputs[2];
    EXPECT_EQ(moec_session_run(session, inputs.data(), outputs), status);
    EXPECT_EQ(std::string(moec_last_error()), text);
  }

  ToyFiles files;
  moec_model *model = nullptr;
  moec_session *session = nullptr;
};
