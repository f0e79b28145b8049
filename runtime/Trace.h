//===- Trace.h - what ran when, on which thread ----------------------------===//
#pragma once

#include "runtime/Metadata.h"

namespace moec::runtime {

/// Nanoseconds of a monotonic clock.
int64_t traceClock();

/// A recording. Each thread has a row of its own, so that recording takes no
/// locks; the owner reads only while no kernel runs.
class Trace {
public:
  void start(int threads);
  void stop() { isActive = false; }
  bool active() const { return isActive; }

  void kernel(int thread, int32_t site, int64_t begin, int64_t end) {
    rows[thread].push_back({site, begin, end});
  }
  void run(int64_t begin, int64_t end) { runs.push_back({-1, begin, end}); }
  /// `offsets` are where each expert's rows start, and where the last end.
  void tokensPerExpert(int32_t site, const int32_t *offsets, int32_t experts);

  /// Writes Chrome's trace event format.
  Status write(const std::string &path, const Metadata &metadata) const;

private:
  struct Span {
    int32_t site;
    int64_t begin, end;
  };
  struct Counter {
    int32_t site;
    int64_t time;
    std::vector<int64_t> tokens;
  };

  bool isActive = false;
  int64_t origin = 0;
  std::vector<std::vector<Span>> rows;
  std::vector<Span> runs;
  std::vector<Counter> counters;
};

} // namespace moec::runtime
