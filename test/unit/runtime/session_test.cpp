// Running a model through the C API: results, refused inputs, failed checks.
#include "session_fixture.h"
#include <thread>

namespace {

using SessionTest = SessionFixture;

TEST_F(SessionTest, DescribesItsTensors) {
  EXPECT_EQ(moec_model_input_count(model), 2);
  EXPECT_EQ(moec_model_output_count(model), 2);
  EXPECT_EQ(moec_model_find_input(model, "past"), 1);
  EXPECT_EQ(moec_model_find_output(model, "past"), -1);
  moec_tensor_info info;
  ASSERT_EQ(moec_model_input(model, 1, &info), MOEC_OK);
  EXPECT_STREQ(info.name, "past");
  EXPECT_EQ(info.type, MOEC_F32);
  EXPECT_EQ(info.rank, 4);
  EXPECT_EQ(info.sizes[0], -1);
  EXPECT_STREQ(info.symbols[0], "batch");
  EXPECT_EQ(info.sizes[1], 2);
  EXPECT_EQ(info.symbols[1], nullptr);
  EXPECT_EQ(info.state, 1);
  EXPECT_EQ(info.state_axis, 2);
  EXPECT_EQ(moec_model_output(model, 2, &info), MOEC_INVALID_ARGUMENT);
  EXPECT_STREQ(moec_last_error(), "there is no output 2: the model has 2");
}

TEST_F(SessionTest, ComputesWhateverTheNumberOfThreads) {
  std::vector<float> x = toyInput(3, 67), expected = toySums(x, 3, 67);
  for (int threads : {1, 2, 3, 5}) {
    moec_session *other = create({.threads = threads, .pin_threads = 0, .state_capacity = 0});
    EXPECT_EQ(run(other, x, 3), expected);
    moec_session_release(other);
  }
}

// Sessions outlive the model's handle, and run at the same time.
TEST_F(SessionTest, SessionsRunConcurrentlyOnOneModel) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([this, i, mine = create({.threads = 2})] {
      for (int round = 0; round < 50; ++round) {
        std::vector<float> x = toyInput(2, 10 + i, i);
        EXPECT_EQ(run(mine, x, 2), toySums(x, 2, 10 + i));
        EXPECT_EQ(moec_session_reset(mine), MOEC_OK);
      }
      moec_session_release(mine);
    });
  moec_model_release(std::exchange(model, nullptr));
  for (std::thread &thread : threads)
    thread.join();
}

TEST_F(SessionTest, LinkedModulesNeedNoArtifact) {
  if (testTarget() != "cpu")
    GTEST_SKIP() << "only programs for a CPU can be linked";
  moec_module_v1 module = files.module();
  moec_model *linked = nullptr;
  ASSERT_EQ(moec_model_from_module(&module, nullptr, nullptr, &linked), MOEC_INVALID_ARGUMENT);
  ASSERT_EQ(moec_model_from_module(&module, files.weights().c_str(), nullptr, &linked), MOEC_OK)
      << moec_last_error();
  moec_session *other = nullptr;
  ASSERT_EQ(moec_session_create(linked, nullptr, &other), MOEC_OK);
  std::vector<float> x = toyInput(1, 3);
  EXPECT_EQ(run(other, x, 1), toySums(x, 1, 3));
  moec_session_release(other);
  moec_model_release(linked);
}

TEST_F(SessionTest, RefusesInputsThatDoNotFit) {
  std::vector<float> data(1000);
  auto x = [&](std::vector<int64_t> sizes) { return tensorOf(data, std::move(sizes)); };
  moec_tensor absent{}, past = tensorOf(data, {2, 2, 1, 4});
  moec_tensor integers = x({2, 3, 4});
  integers.type = MOEC_I64;
  moec_tensor small = x({2, 3, 4}), noData = small, strided = small;
  small.bytes = 95;
  noData.data = nullptr;
  strided.strides[0] = 16, strided.strides[1] = 4, strided.strides[2] = 1;
  constexpr moec_status kInvalid = MOEC_INVALID_ARGUMENT;
  expectError({absent, absent}, kInvalid, "input 'x' is missing");
  expectError({integers, absent}, kInvalid,
              "input 'x': its type is int64, but the model needs float32");
  expectError({x({3, 4}), absent}, kInvalid, "input 'x': its rank is 2, but the model needs 3");
  expectError({x({2, 3, 5}), absent}, kInvalid,
              "input 'x': dimension 2 is 5, but the model needs 4");
  expectError({x({3, 1, 4}), past}, kInvalid,
              "input 'past': dimension 0 ('batch') is 2, but dimension 0 of input 'x' makes it 3");
  expectError({x({-1, 3, 4}), absent}, kInvalid, "input 'x': its sizes are negative or too large");
  expectError({x({1ll << 62, 4, 4}), absent}, kInvalid,
              "input 'x': its sizes are negative or too large");
  expectError({small, absent}, kInvalid, "input 'x': it needs 96 bytes, but has 95");
  expectError({noData, absent}, kInvalid, "input 'x': its data is null");
  expectError({strided, absent}, kInvalid,
              "input 'x': dimension 0 has stride 16, but row-major order needs 12");
  EXPECT_EQ(moec_session_run(session, nullptr, nullptr), kInvalid);
}

TEST_F(SessionTest, FailedChecksNameTheNode) {
  std::vector<float> x = toyInput(2, 3), large = x, none;
  large[13] = 5000;
  expectError({tensorOf(large, {2, 3, 4}), {}}, MOEC_EXECUTION_FAILED,
              "node '/toy/Mul': value too large");
  expectError({tensorOf(none, {2, 0, 4}), {}}, MOEC_EXECUTION_FAILED, "needs at least one row");
  EXPECT_EQ(run(session, x, 2), toySums(x, 2, 3)) << "a failed run leaves nothing behind";
}

TEST_F(SessionTest, WritesToBoundBuffers) {
  std::vector<float> x = toyInput(2, 3), sums(24), past;
  moec_tensor inputs[2] = {tensorOf(x, {2, 3, 4}), tensorOf(past, {2, 2, 0, 4})}, outputs[2];
  ASSERT_EQ(moec_session_bind_output(session, 0, sums.data(), 95), MOEC_OK);
  expectError({inputs, inputs + 2}, MOEC_INVALID_ARGUMENT,
              "output 'sum': it needs 96 bytes, but its buffer has 95");
  ASSERT_EQ(moec_session_bind_output(session, 0, x.data() + 4, 96), MOEC_OK);
  expectError({inputs, inputs + 2}, MOEC_INVALID_ARGUMENT,
              "output 'sum': its buffer overlaps input 'x'");
  ASSERT_EQ(moec_session_bind_output(session, 0, sums.data(), 96), MOEC_OK);
  ASSERT_EQ(moec_session_run(session, inputs, outputs), MOEC_OK) << moec_last_error();
  EXPECT_EQ(outputs[0].data, sums.data());
  EXPECT_EQ(sums, toySums(x, 2, 3));
  ASSERT_EQ(moec_session_bind_output(session, 0, nullptr, 0), MOEC_OK);
  ASSERT_EQ(moec_session_run(session, inputs, outputs), MOEC_OK);
  EXPECT_NE(outputs[0].data, sums.data());
  EXPECT_EQ(moec_session_bind_output(session, 2, sums.data(), 96), MOEC_INVALID_ARGUMENT);
  ASSERT_EQ(moec_session_bind_output(session, 1, sums.data(), 96), MOEC_OK);
  expectError({inputs[0], {}}, MOEC_INVALID_ARGUMENT,
              "output 'present' is state that the session keeps: it cannot be bound");
}

TEST_F(SessionTest, ReportsMemory) {
  std::vector<float> x = toyInput(1, 100);
  run(session, x, 1);
  moec_memory_report report;
  ASSERT_EQ(moec_session_memory(session, &report), MOEC_OK);
  EXPECT_EQ(report.weights, 144);
  EXPECT_EQ(report.arena, 1600);
  EXPECT_EQ(report.heap_peak, 1012);
  // Where the caller sees it, and where a device computes it.
  EXPECT_EQ(report.outputs, testTarget() == "cpu" ? 1600 : 3200);
  EXPECT_EQ(report.state, 2 * 100 * 16);
  EXPECT_GT(report.process_peak, 1 << 20);
}

TEST_F(SessionTest, RefusesNullArguments) {
  moec_tensor_info info;
  moec_memory_report report;
  moec_session *copy = nullptr;
  moec_model *other = nullptr;
  moec_module_v1 empty{MOEC_ABI_VERSION, 0, nullptr, nullptr, nullptr};
  const int64_t row = 0;
  for (moec_status status :
       {moec_model_load(nullptr, nullptr, &other), moec_model_load("x", nullptr, nullptr),
        moec_model_from_module(nullptr, nullptr, nullptr, &other),
        moec_model_input(nullptr, 0, &info), moec_model_output(model, 0, nullptr),
        moec_session_create(nullptr, nullptr, &copy), moec_session_run(nullptr, nullptr, nullptr),
        moec_session_bind_output(nullptr, 0, nullptr, 0), moec_session_reset(nullptr),
        moec_session_truncate(nullptr, 0), moec_session_reorder(nullptr, &row, 1),
        moec_session_fork(nullptr, &copy), moec_session_fork(session, nullptr),
        moec_session_memory(nullptr, &report), moec_session_memory(session, nullptr),
        moec_session_profile_start(nullptr), moec_session_profile_write(session, nullptr)}) {
    EXPECT_EQ(status, MOEC_INVALID_ARGUMENT);
    EXPECT_TRUE(std::string(moec_last_error()).ends_with("' is null")) << moec_last_error();
  }
  EXPECT_EQ(moec_model_from_module(&empty, nullptr, nullptr, &other), MOEC_DAMAGED);
}

TEST_F(SessionTest, RefusesOptionsOutOfRange) {
  moec_session *created = nullptr;
  moec_session_options options{.threads = -1};
  EXPECT_EQ(moec_session_create(model, &options, &created), MOEC_INVALID_ARGUMENT);
  options = {.state_capacity = -1};
  EXPECT_EQ(moec_session_create(model, &options, &created), MOEC_INVALID_ARGUMENT);
  EXPECT_EQ(created, nullptr);
}

} // namespace
