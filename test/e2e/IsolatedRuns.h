//===- IsolatedRuns.h - runs that may crash, in processes of their own ----===//
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace moec::e2e {

struct IsolationOptions {
  unsigned jobs = 1;
  /// A run that takes longer fails.
  unsigned timeoutSeconds = 60;
};

/// Calls `run` for 0 ... count-1 in forked processes, each of which does many
/// runs. Returns what each run returned; for one that crashed or hung, the
/// signal and the last line that it wrote to stderr.
std::vector<std::string> runIsolated(size_t count, const std::function<std::string(size_t)> &run,
                                     const IsolationOptions &options);

} // namespace moec::e2e
