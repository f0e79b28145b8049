//===- CpuChecks.cpp - what code for the CPU takes for granted -------------===//
#include "runtime/CpuFeatures.h"
#include "runtime/Memory.h"
#include "runtime/ThreadPool.h"
#include "tools/moec/selfcheck/Report.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>

namespace moec::tools {
namespace {

using runtime::Chunks;
using runtime::ThreadPool;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void describe(Report &report, const ThreadPool &pool) {
  std::string features;
  for (std::string_view name : runtime::knownCpuFeatures())
    if (!runtime::checkCpuFeatures("", {std::string(name)}))
      features += (features.empty() ? "" : " ") + std::string(name);
  report.add({"processor",
              Verdict::pass,
              std::to_string(pool.threads()) + " cores, with " +
                  (features.empty() ? "no features of its own" : features),
              {{"cores", static_cast<double>(pool.threads())}}});
}

/// Sums round to nearest even, keep subnormal numbers, and fma rounds once: in
/// every thread, since processors can be set otherwise for each.
bool roundsAsExpected() {
  volatile float one = 1, half = 0x1p-24f, more = 0x1.000002p-24f, tiny = 0x1p-126f, scale = 0.5f;
  volatile float factor = 1 + 0x1p-12f, product = 1 + 0x1p-11f;
  return one + half == 1 && one + more == 1 + 0x1p-23f && tiny * scale == 0x1p-127f &&
         one + 0x1.8p-23f == 1 + 0x1p-22f && std::fma(factor, factor, -product) == 0x1p-24f;
}

void checkRounding(Report &report, ThreadPool &pool) {
  struct Seen {
    std::atomic<int> wrong{0};
  } seen;
  pool.run(
      1 << 16,
      [](void *context, int, Chunks &chunks) {
        for (int64_t begin, end; chunks.next(begin, end);)
          static_cast<Seen *>(context)->wrong += !roundsAsExpected();
      },
      &seen);
  report.add({"rounding", seen.wrong ? Verdict::fail : Verdict::pass,
              seen.wrong ? "sums do not round to nearest even, or lose subnormal numbers"
                         : "to nearest even, subnormal numbers kept, fma rounds once, in every "
                           "thread"});
}

Status measureReading(Report &report, ThreadPool &pool) {
  constexpr size_t kBytes = size_t{256} << 20, kRun = size_t{1} << 20;
  constexpr int kRepeats = 5;
  runtime::Buffer data;
  if (!data.allocate(kBytes, runtime::Buffer::Pages::huge))
    return failure(MOEC_OUT_OF_MEMORY, "no memory for %zu bytes", kBytes);
  std::memset(data.data(), 0, kBytes);
  struct Job {
    const uint64_t *words;
    std::atomic<uint64_t> sum{0};
  } job{static_cast<const uint64_t *>(data.data())};
  auto read = [](void *context, int, Chunks &chunks) {
    auto &job = *static_cast<Job *>(context);
    uint64_t sum = 0;
    constexpr size_t kWords = kRun / sizeof(uint64_t);
    for (int64_t begin, end; chunks.next(begin, end);)
      for (size_t i = begin * kWords; i < end * kWords; ++i)
        sum += job.words[i];
    job.sum += sum;
  };
  double best = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    double begin = seconds();
    pool.run(kBytes / kRun, read, &job);
    best = std::max(best, kBytes / (seconds() - begin) / 1e9);
  }
  char text[64];
  std::snprintf(text, sizeof text, "%.1f GB/s reading %.2f GB", best, kBytes / 1e9);
  report.add({"memory bandwidth", Verdict::measured, text, {{"gigabytes_per_second", best}}});
  return {};
}

void measureLaunches(Report &report, ThreadPool &pool) {
  constexpr int kLaunches = 10000;
  double begin = seconds();
  for (int i = 0; i < kLaunches; ++i)
    pool.run(
        pool.threads(),
        [](void *, int, Chunks &chunks) {
          for (int64_t begin, end; chunks.next(begin, end);)
            ;
        },
        nullptr);
  double microseconds = (seconds() - begin) / kLaunches * 1e6;
  char text[64];
  std::snprintf(text, sizeof text, "%.2f us for an empty kernel on all cores", microseconds);
  report.add({"launch latency", Verdict::measured, text, {{"microseconds", microseconds}}});
}

} // namespace

void checkCpu(Report &report) {
  ThreadPool pool;
  int threads = std::max(static_cast<int>(runtime::allowedCores().size()), 1);
  if (Status error = pool.start(threads, /*pin=*/true))
    return report.fail("threads", error);
  describe(report, pool);
  checkRounding(report, pool);
  if (Status error = measureReading(report, pool))
    report.fail("memory bandwidth", error);
  measureLaunches(report, pool);
}

} // namespace moec::tools
