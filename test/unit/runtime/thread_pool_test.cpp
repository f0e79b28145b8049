// Every index is computed once, whatever the numbers of threads and cores.
#include "runtime/ThreadPool.h"
#include "gtest/gtest.h"
#include <unistd.h>

using namespace moec::runtime;

namespace {

struct Marks {
  std::vector<std::atomic<int>> counts;
  std::atomic<int> threadsSeen{0};
};

void mark(void *context, int thread, Chunks &chunks) {
  auto *marks = static_cast<Marks *>(context);
  int64_t begin, end;
  while (chunks.next(begin, end)) {
    marks->threadsSeen |= 1 << thread;
    for (int64_t i = begin; i < end; ++i)
      ++marks->counts[i];
  }
}

TEST(ThreadPoolTest, EachIndexOnce) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool;
    ASSERT_FALSE(pool.start(threads, true));
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t size : {0, 1, 2, 7, 64, 1000})
      for (int round = 0; round < 50; ++round) {
        Marks marks{std::vector<std::atomic<int>>(size)};
        pool.run(size, mark, &marks);
        for (int64_t i = 0; i < size; ++i)
          ASSERT_EQ(marks.counts[i], 1) << threads << " threads, index " << i << " of " << size;
      }
  }
}

// Workers that went to sleep take part again.
TEST(ThreadPoolTest, SleepersWake) {
  ThreadPool pool;
  ASSERT_FALSE(pool.start(2, false));
  auto slow = [](void *context, int thread, Chunks &chunks) {
    int64_t begin, end;
    while (chunks.next(begin, end)) {
      *static_cast<std::atomic<int> *>(context) |= 1 << thread;
      usleep(1000);
    }
  };
  for (int round = 0; round < 5; ++round) {
    usleep(5000);
    std::atomic<int> threadsSeen{0};
    pool.run(100, slow, &threadsSeen);
    EXPECT_EQ(threadsSeen, 3);
  }
}

} // namespace
