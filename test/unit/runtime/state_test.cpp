// State that the session keeps behaves as if everything were computed at once.
#include "session_fixture.h"

namespace {

class StateTest : public SessionFixture {
protected:
  /// Rows [begin, end) of every batch row.
  static std::vector<float> rows(const std::vector<float> &x, int64_t batch, int64_t begin,
                                 int64_t end) {
    int64_t all = static_cast<int64_t>(x.size()) / 4 / batch;
    std::vector<float> part;
    for (int64_t b = 0; b < batch; ++b)
      part.insert(part.end(), x.begin() + (b * all + begin) * 4, x.begin() + (b * all + end) * 4);
    return part;
  }

  /// Continues with `count` rows of x from where the session is, and expects
  /// what the whole would give.
  void step(moec_session *session, const std::vector<float> &x, int64_t batch, int64_t count) {
    int64_t at = moec_session_length(session);
    std::vector<float> all = rows(x, batch, 0, at + count);
    EXPECT_EQ(run(session, rows(x, batch, at, at + count), batch),
              rows(toySums(all, batch, at + count), batch, at, at + count));
    EXPECT_EQ(moec_session_length(session), at + count);
  }
};

// Any split gives the same, through every growth of the buffer.
TEST_F(StateTest, SplitsEqualTheWhole) {
  std::vector<float> x = toyInput(3, 300);
  moec_session *sessions[] = {create({}),
                              create({.threads = 1, .pin_threads = 0, .state_capacity = 1}),
                              create({.threads = 3, .pin_threads = 0, .state_capacity = 1000})};
  for (moec_session *other : sessions) {
    for (int64_t count : {5, 1, 1, 57, 1, 1, 130, 4, 100})
      step(other, x, 3, count);
    moec_session_release(other);
  }
}

TEST_F(StateTest, KeptEqualsPassed) {
  std::vector<float> x = toyInput(2, 9), past;
  std::vector<float> first = rows(x, 2, 0, 4), second = rows(x, 2, 4, 9);
  moec_tensor inputs[2] = {tensorOf(first, {2, 4, 4}), tensorOf(past, {2, 2, 0, 4})}, outputs[2];
  ASSERT_EQ(moec_session_run(session, inputs, outputs), MOEC_OK) << moec_last_error();
  EXPECT_EQ(moec_session_length(session), 0) << "the caller keeps this state";
  // An output of the session may come back as an input.
  inputs[0] = tensorOf(second, {2, 5, 4});
  inputs[1] = outputs[1];
  ASSERT_EQ(moec_session_run(session, inputs, outputs), MOEC_OK) << moec_last_error();
  std::vector<float> present = contents(outputs[1]);
  EXPECT_EQ(contents(outputs[0]), rows(toySums(x, 2, 9), 2, 4, 9));

  step(session, x, 2, 4);
  inputs[1] = {};
  ASSERT_EQ(moec_session_run(session, inputs, outputs), MOEC_OK) << moec_last_error();
  EXPECT_EQ(readState(session, outputs[1]), present);
  if (testTarget() == "cpu")
    EXPECT_EQ(contents(outputs[1]), present);
  EXPECT_EQ(outputs[1].sizes[2], 9);
  EXPECT_EQ(outputs[1].strides[1], 64 * 4) << "a view of the buffer";
}

TEST_F(StateTest, TruncateForgetsTheEnd) {
  std::vector<float> x = toyInput(2, 20);
  step(session, x, 2, 15);
  EXPECT_EQ(moec_session_truncate(session, 16), MOEC_INVALID_ARGUMENT);
  EXPECT_STREQ(moec_last_error(), "requires 0 <= length <= 15, but length is 16");
  EXPECT_EQ(moec_session_truncate(session, -1), MOEC_INVALID_ARGUMENT);
  ASSERT_EQ(moec_session_truncate(session, 6), MOEC_OK);
  step(session, x, 2, 14);
  ASSERT_EQ(moec_session_truncate(session, 0), MOEC_OK);
  step(session, x, 2, 3);
}

TEST_F(StateTest, ResetAllowsAnotherBatch) {
  std::vector<float> x = toyInput(2, 5), y = toyInput(3, 5, 2);
  step(session, x, 2, 5);
  expectError({tensorOf(y, {3, 5, 4}), {}}, MOEC_INVALID_ARGUMENT,
              "the state of input 'past': dimension 0 ('batch') is 2, but dimension 0 of input 'x' "
              "makes it 3");
  ASSERT_EQ(moec_session_reset(session), MOEC_OK);
  step(session, y, 3, 5);
}

TEST_F(StateTest, ReorderCopiesRows) {
  std::vector<float> x = toyInput(2, 8), reordered;
  EXPECT_EQ(moec_session_reorder(session, nullptr, 2), MOEC_INVALID_ARGUMENT);
  const int64_t order[] = {1, 1, 0}, wrong[] = {0, 2};
  EXPECT_EQ(moec_session_reorder(session, order, 3), MOEC_INVALID_ARGUMENT) << "nothing kept yet";
  step(session, x, 2, 5);
  EXPECT_EQ(moec_session_reorder(session, wrong, 2), MOEC_INVALID_ARGUMENT);
  EXPECT_STREQ(moec_last_error(), "rows[1] is 2, but the batch has 2 rows");
  ASSERT_EQ(moec_session_reorder(session, order, 3), MOEC_OK) << moec_last_error();
  for (int64_t row : order)
    reordered.insert(reordered.end(), x.begin() + row * 32, x.begin() + (row + 1) * 32);
  step(session, reordered, 3, 3);
}

TEST_F(StateTest, ForksGoTheirOwnWays) {
  std::vector<float> x = toyInput(2, 90), y = toyInput(2, 90, 2);
  step(session, x, 2, 60);
  moec_session *fork = nullptr;
  ASSERT_EQ(moec_session_fork(session, &fork), MOEC_OK) << moec_last_error();
  std::vector<float> mixed = x;
  for (int64_t b = 0; b < 2; ++b)
    std::copy_n(y.begin() + (b * 90 + 60) * 4, 30 * 4, mixed.begin() + (b * 90 + 60) * 4);
  step(fork, mixed, 2, 2);
  step(session, x, 2, 30);
  step(fork, mixed, 2, 28);
  moec_session_release(fork);
}

// A run that fails, also after the buffer had to grow, leaves the state.
TEST_F(StateTest, FailureChangesNothing) {
  std::vector<float> x = toyInput(1, 200), bad(400, 1);
  step(session, x, 1, 3);
  bad[399] = 5000;
  expectError({tensorOf(bad, {1, 100, 4}), {}}, MOEC_EXECUTION_FAILED,
              "node '/toy/Mul': value too large");
  float small[4];
  ASSERT_EQ(moec_session_bind_output(session, 0, small, sizeof small), MOEC_OK);
  std::vector<float> more = rows(x, 1, 3, 200);
  expectError({tensorOf(more, {1, 197, 4}), {}}, MOEC_INVALID_ARGUMENT,
              "output 'sum': it needs 3152 bytes, but its buffer has 16");
  ASSERT_EQ(moec_session_bind_output(session, 0, nullptr, 0), MOEC_OK);
  step(session, x, 1, 2);
  step(session, x, 1, 195);
}

} // namespace
