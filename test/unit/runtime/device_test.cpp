// A device's memory and kernels do what Memory.h and Device.h say, whichever it
// is. MOEC_TEST_TARGET says which; sessions on it have tests of their own.
#include "runtime/devices/Device.h"
#include "session_fixture.h"

#include <cstring>

namespace {

using namespace moec::runtime;
using Direction = Memory::Direction;

class DeviceTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(load());
    ASSERT_TRUE(device);
  }

  Status load() {
    if (Status error = Model::load(files.artifact(), {}, model))
      return ADD_FAILURE() << error.message(), error;
    if (Status error = model->program().createDevice({}, device))
      return ADD_FAILURE() << error.message(), error;
    return {};
  }

  Memory &memory() { return device->memory(); }
  void expectDone(const Status &status) { EXPECT_FALSE(status) << status.message(); }

  /// Device memory with these contents.
  template <class T> Buffer upload(const std::vector<T> &values) {
    Buffer buffer(memory());
    EXPECT_TRUE(buffer.allocate(values.size() * sizeof(T)));
    expectDone(memory().copy(Direction::upload, {buffer.data(), values.data(), bytesOf(values)}));
    return buffer;
  }
  template <class T> std::vector<T> download(const Buffer &buffer, size_t count) {
    std::vector<T> values(count);
    expectDone(memory().copy(Direction::download, {values.data(), buffer.data(), bytesOf(values)}));
    return values;
  }
  template <class T> static int64_t bytesOf(const std::vector<T> &values) {
    return static_cast<int64_t>(values.size() * sizeof(T));
  }

  /// The toy's first kernel: s = x * w, by rows of four.
  Status scale(const Buffer &x, const Buffer &s, const Buffer &offsets, int64_t rows) {
    uint64_t words[] = {0,
                        reinterpret_cast<uint64_t>(x.data()),
                        reinterpret_cast<uint64_t>(model->program().weights()[0]),
                        reinterpret_cast<uint64_t>(s.data()),
                        reinterpret_cast<uint64_t>(offsets.data()),
                        static_cast<uint64_t>(rows)};
    Status status = device->launch({0, words, std::size(words), rows}, trace);
    // The table was copied.
    std::fill(std::begin(words), std::end(words), ~uint64_t(0));
    return status;
  }

  ToyFiles files{testTarget()};
  std::shared_ptr<const Model> model;
  std::unique_ptr<Device> device;
  Trace trace;
};

std::vector<float> scaled(std::vector<float> x) {
  for (size_t i = 0; i < x.size(); ++i)
    x[i] *= ToyFiles::kScale[i % 4];
  return x;
}

TEST_F(DeviceTest, CopiesGoThereAndBack) {
  std::vector<int> values(1000);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<int>(i * i);
  Buffer first = upload(values), second(memory());
  ASSERT_TRUE(second.allocate(first.size()));
  expectDone(memory().copy(Direction::inside, {second.data(), first.data(), bytesOf(values)}));
  EXPECT_EQ(download<int>(second, values.size()), values);
  expectDone(memory().copy(Direction::upload, {first.data(), values.data(), 0}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first.data()) % 64, 0u);
}

// Runs of 3 ints out of rows of 5, into rows of 4, in each direction.
TEST_F(DeviceTest, RunsAreCopiedApart) {
  constexpr int64_t kInt = sizeof(int), kRows = 6;
  std::vector<int> from(5 * kRows), expected(4 * kRows, -1);
  for (int64_t i = 0; i < 5 * kRows; ++i)
    from[i] = static_cast<int>(i);
  for (int64_t row = 0; row < kRows; ++row)
    for (int64_t i = 0; i < 3; ++i)
      expected[4 * row + i] = from[5 * row + i];
  auto runs = [&](void *to, const void *source) {
    return Copy{to, source, 3 * kInt, kRows, 4 * kInt, 5 * kInt};
  };
  Buffer source = upload(from), uploaded = upload(std::vector<int>(4 * kRows, -1)),
         inside = upload(std::vector<int>(4 * kRows, -1));
  std::vector<int> downloaded(4 * kRows, -1);
  expectDone(memory().copy(Direction::upload, runs(uploaded.data(), from.data())));
  expectDone(memory().copy(Direction::inside, runs(inside.data(), source.data())));
  expectDone(memory().copy(Direction::download, runs(downloaded.data(), source.data())));
  EXPECT_EQ(download<int>(uploaded, expected.size()), expected);
  EXPECT_EQ(download<int>(inside, expected.size()), expected);
  EXPECT_EQ(downloaded, expected);
}

// Launches and copies happen in the order in which they are asked for, also when
// the same launches come again and again.
TEST_F(DeviceTest, LaunchesAndCopiesAreInOrder) {
  constexpr int64_t kRows = 100;
  std::vector<float> x = toyInput(1, kRows);
  Buffer first = upload(x), second = upload(x), third = upload(x),
         offsets = upload(std::vector<int>(3));
  for (int64_t round = 0; round < 4; ++round) {
    std::vector<float> values = toyInput(1, kRows, static_cast<unsigned>(round));
    expectDone(memory().copy(Direction::upload, {first.data(), values.data(), bytesOf(values)}));
    expectDone(scale(first, second, offsets, kRows));
    expectDone(scale(second, third, offsets, kRows));
    expectDone(memory().copy(Direction::inside, {first.data(), third.data(), bytesOf(values)}));
    expectDone(scale(first, second, offsets, kRows - round));
    expectDone(device->finish());
    std::vector<float> twice = scaled(scaled(values)), thrice = scaled(twice);
    EXPECT_EQ(download<float>(third, x.size()), twice);
    // The last rows are what the round's first launch left.
    std::copy_n(scaled(values).begin() + 4 * (kRows - round), 4 * round, thrice.end() - 4 * round);
    EXPECT_EQ(download<float>(second, x.size()), thrice);
    EXPECT_EQ(download<int>(offsets, 3)[2], kRows - round);
  }
}

TEST_F(DeviceTest, EmptyLaunchesDoNothing) {
  Buffer x = upload(toyInput(1, 1)), s = upload(std::vector<float>(4, 7)),
         offsets = upload(std::vector<int>(3, 5));
  expectDone(scale(x, s, offsets, 0));
  expectDone(device->finish());
  EXPECT_EQ(download<float>(s, 4), std::vector<float>(4, 7));
}

// A check that fails is told when the launch returns or is waited for, with the
// node's name, once; what follows is as if nothing had been.
TEST_F(DeviceTest, FailedChecksAreToldAndForgotten) {
  constexpr int64_t kRows = 70;
  std::vector<float> x = toyInput(1, kRows), large = x;
  large[50] = 5000;
  Buffer good = upload(x), bad = upload(large), s = upload(x),
         offsets = upload(std::vector<int>(3));
  for (int round = 0; round < 3; ++round) {
    expectDone(scale(good, s, offsets, kRows));
    Status launched = scale(bad, s, offsets, kRows), finished = device->finish();
    const Status &failed = launched ? launched : finished;
    EXPECT_EQ(failed.code(), MOEC_EXECUTION_FAILED);
    EXPECT_EQ(failed.message(), "node '/toy/Mul': value too large");
    expectDone(device->finish());
    expectDone(scale(good, s, offsets, kRows));
    expectDone(device->finish());
    EXPECT_EQ(download<float>(s, x.size()), scaled(x));
  }
}

// More lists of launches than a device remembers, of one launch and of many, come
// again in turn, each time on other rows.
TEST_F(DeviceTest, ManyListsTakeTurns) {
  constexpr int64_t kRows = 40;
  std::vector<float> x = toyInput(1, kRows);
  for (float &value : x)
    value /= 16; // it is doubled up to twelve times, and must stay below 1,000
  Buffer buffers[] = {upload(x), upload(x)}, offsets = upload(std::vector<int>(3));
  for (int round = 0; round < 3; ++round)
    for (int length = 1; length < 13; ++length) {
      int64_t rows = kRows - (round + length) % 7;
      std::vector<float> expected[] = {x, x};
      for (Buffer &buffer : buffers)
        expectDone(memory().copy(Direction::upload, {buffer.data(), x.data(), bytesOf(x)}));
      for (int launch = 0; launch < length; ++launch) {
        int from = launch % 2, to = 1 - from;
        expectDone(scale(buffers[from], buffers[to], offsets, rows));
        std::vector<float> values = scaled(expected[from]);
        std::copy_n(values.begin(), 4 * rows, expected[to].begin());
      }
      expectDone(device->finish());
      for (int i = 0; i < 2; ++i)
        EXPECT_EQ(download<float>(buffers[i], x.size()), expected[i]);
    }
}

// Memory that is released may still have launches that use it.
TEST_F(DeviceTest, ReleasedMemoryWaitsForItsLaunches) {
  std::vector<float> x = toyInput(1, 64);
  Buffer s = upload(x), offsets = upload(std::vector<int>(3));
  for (int round = 0; round < 3; ++round) {
    Buffer temporary = upload(x), other = upload(x);
    expectDone(scale(temporary, other, offsets, 64));
    expectDone(scale(other, s, offsets, 64));
  }
  expectDone(device->finish());
  EXPECT_EQ(download<float>(s, x.size()), scaled(scaled(x)));
}

TEST_F(DeviceTest, TooMuchMemoryIsRefused) {
  Buffer buffer(memory());
  EXPECT_FALSE(buffer.allocate(size_t{1} << 60));
  EXPECT_EQ(buffer.data(), nullptr);
}

} // namespace
