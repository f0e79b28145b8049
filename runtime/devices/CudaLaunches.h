//===- CudaLaunches.h - launches of a stream, by graphs where they repeat --===//
#pragma once

#include "runtime/devices/CudaGpu.h"

#include <list>
#include <memory>
#include <vector>

namespace moec::runtime::cuda {

/// A launch of a kernel that takes, by value, the words of its argument table
/// and the size of its grid of indices.
struct KernelLaunch {
  const char *node; // whose kernel it is, for errors
  Function function;
  unsigned blocks, threads, shared;
  int64_t grid;
  const uint64_t *words;
  int64_t wordCount;
};

/// Launches in the order in which they were added.
class LaunchList {
public:
  void add(const KernelLaunch &launch);
  void clear();
  size_t size() const { return launches.size(); }
  /// Valid until something is added.
  KernelLaunch operator[](size_t index) const;

  /// Whether the two launch the same kernels, if perhaps on other things.
  bool hasKernelsOf(const LaunchList &other) const;

private:
  /// Its words are an offset into those of all.
  struct Entry {
    KernelLaunch launch;
    size_t firstWord;
  };
  std::vector<Entry> launches;
  std::vector<uint64_t> words;
};

/// Launches one by one, or, with graphs, when flush says so: a list whose
/// kernels were launched before becomes a graph, in which later lists change
/// what is another argument. So a step of decoding is one call of the driver
/// and a few changes, and kernels follow each other without the host.
class LaunchQueue {
public:
  LaunchQueue(const Gpu &gpu, bool usesGraphs);
  ~LaunchQueue();

  /// Before anything is added.
  void setStream(Stream newStream) { stream = newStream; }

  /// Copies the words.
  Status add(const KernelLaunch &launch);
  /// Begins at once, after what was added.
  Status launch(const KernelLaunch &launch);
  /// Begins everything that was added. What is to come after it in the stream
  /// flushes first.
  Status flush();

private:
  struct Repeated;

  Status begin(const KernelLaunch &launch) const;
  Status beginEach() const;
  Status replay(Repeated &repeated);

  const Gpu &gpu;
  bool usesGraphs;
  Stream stream = nullptr;
  LaunchList pending;
  /// Lists that were launched, the last one first.
  std::list<Repeated> seen;
};

} // namespace moec::runtime::cuda
