//===- ThreadPool.h - index ranges on pinned threads -----------------------===//
#pragma once

#include "runtime/Status.h"

#include <atomic>
#include <memory>
#include <pthread.h>
#include <vector>

namespace moec::runtime {

/// Hands out [0, size) in chunks.
class Chunks {
public:
  void reset(int64_t size, int64_t chunk);
  /// False when nothing is left.
  bool next(int64_t &begin, int64_t &end);

private:
  std::atomic<int64_t> position{0};
  int64_t size = 0, chunk = 1;
};

/// Cores that this process may use.
std::vector<int> allowedCores();

/// Threads that one caller at a time shares work with. Workers spin for some
/// microseconds after a job, since the next one usually follows at once, and
/// then sleep. The caller takes part, and never waits for a worker that has
/// not begun: a machine with other work to do slows a job down by no more
/// than the cores it takes away.
class ThreadPool {
public:
  /// Takes chunks until none is left; `thread` is 0 for the caller.
  using Body = void (*)(void *context, int thread, Chunks &chunks);

  ThreadPool() = default;
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;
  ~ThreadPool();

  /// `threads` counts the caller.
  Status start(int threads, bool pin);
  int threads() const { return static_cast<int>(workers.size()) + 1; }

  /// Returns when [0, size) is done.
  void run(int64_t size, Body body, void *context);

private:
  struct Worker {
    ThreadPool *pool;
    int number;
    pthread_t thread;
  };

  static void *workerMain(void *worker);
  void serve(int thread);
  uint32_t awaitJob(uint32_t seen);
  bool enter();

  /// The job; written only while the gate is closed and nobody is inside.
  Body body = nullptr;
  void *context = nullptr;
  Chunks chunks;

  /// Whether workers may still join the job, and how many are inside.
  static constexpr uint32_t kOpen = 1u << 31;
  alignas(64) std::atomic<uint32_t> gate{0};
  /// Counts jobs; what workers spin and sleep on.
  alignas(64) std::atomic<uint32_t> jobs{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stopping{false};
  std::vector<std::unique_ptr<Worker>> workers;
};

} // namespace moec::runtime
