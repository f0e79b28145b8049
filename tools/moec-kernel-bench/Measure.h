//===- Measure.h - CPU seconds of one thread -------------------------------===//
#pragma once

#include <algorithm>
#include <ctime>
#include <vector>

namespace moec {

/// Another process on the core does not count.
inline double cpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

/// The median of several runs, after one.
template <typename Run> double median(Run run) {
  run();
  std::vector<double> times;
  for (double spent = 0; times.size() < 5 || (spent < 1 && times.size() < 101);) {
    double start = cpuSeconds();
    run();
    times.push_back(cpuSeconds() - start);
    spent += times.back();
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

} // namespace moec
