#include "runtime/ThreadPool.h"

#include <algorithm>
#include <climits>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace moec::runtime {
namespace {

/// How long a worker without work spins before it sleeps: about three times
/// what waking it costs.
constexpr int64_t kSpinNanoseconds = 50'000;
/// Spins between two looks at the clock or offers of the core to others.
constexpr int kSpins = 200;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

int64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void sleepWhile(std::atomic<uint32_t> &word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake(std::atomic<uint32_t> &word, int count) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

} // namespace

void Chunks::reset(int64_t newSize, int64_t newChunk) {
  size = newSize;
  chunk = newChunk;
  position.store(0, std::memory_order_relaxed);
}

bool Chunks::next(int64_t &begin, int64_t &end) {
  begin = position.fetch_add(chunk, std::memory_order_relaxed);
  end = std::min(begin + chunk, size);
  return begin < size;
}

std::vector<int> allowedCores() {
  std::vector<int> cores;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set))
        cores.push_back(core);
  return cores;
}

Status ThreadPool::start(int threads, bool pin) {
  std::vector<int> cores = allowedCores();
  for (int number = 1; number < threads; ++number) {
    workers.push_back(std::make_unique<Worker>(Worker{this, number, {}}));
    Worker &worker = *workers.back();
    if (pthread_create(&worker.thread, nullptr, workerMain, &worker)) {
      workers.pop_back();
      return failure(MOEC_OUT_OF_MEMORY, "cannot create %d threads", threads);
    }
    pthread_setname_np(worker.thread, ("moec-" + std::to_string(number)).c_str());
    // More threads than cores is a test's setting: the scheduler knows better.
    if (pin && threads <= static_cast<int>(cores.size())) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(cores[number], &set);
      pthread_setaffinity_np(worker.thread, sizeof set, &set);
    }
  }
  return {};
}

ThreadPool::~ThreadPool() {
  stopping = true;
  ++jobs;
  wake(jobs, INT_MAX);
  for (const auto &worker : workers)
    pthread_join(worker->thread, nullptr);
}

void *ThreadPool::workerMain(void *argument) {
  auto *worker = static_cast<Worker *>(argument);
  worker->pool->serve(worker->number);
  return nullptr;
}

void ThreadPool::serve(int thread) {
  for (uint32_t seen = 0;;) {
    seen = awaitJob(seen);
    if (stopping)
      return;
    if (!enter())
      continue;
    body(context, thread, chunks);
    gate.fetch_sub(1, std::memory_order_release);
  }
}

uint32_t ThreadPool::awaitJob(uint32_t seen) {
  for (int64_t end = now() + kSpinNanoseconds; now() < end;)
    for (int spin = 0; spin < kSpins; ++spin) {
      if (uint32_t current = jobs.load(std::memory_order_acquire); current != seen)
        return current;
      pause();
    }
  ++sleepers;
  while (jobs == seen)
    sleepWhile(jobs, seen);
  --sleepers;
  return jobs;
}

bool ThreadPool::enter() {
  uint32_t inside = gate.load(std::memory_order_relaxed);
  while (inside & kOpen)
    if (gate.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire,
                                   std::memory_order_relaxed))
      return true;
  return false;
}

void ThreadPool::run(int64_t size, Body newBody, void *newContext) {
  // Small enough that threads end together, large enough to be worth taking.
  constexpr int64_t kChunksPerThread = 8;
  chunks.reset(size, std::max<int64_t>(1, size / (threads() * kChunksPerThread)));
  if (workers.empty() || size <= 1)
    return newBody(newContext, 0, chunks);
  body = newBody;
  context = newContext;
  gate.store(kOpen, std::memory_order_release);
  ++jobs;
  if (sleepers)
    wake(jobs, INT_MAX);
  body(context, 0, chunks);
  gate.fetch_and(~kOpen, std::memory_order_relaxed);
  for (int spin = 1; gate.load(std::memory_order_acquire) != 0; ++spin) {
    pause();
    if (spin % kSpins == 0)
      sched_yield();
  }
}

} // namespace moec::runtime
