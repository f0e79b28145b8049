#include "runtime/devices/CudaLaunches.h"

#include <algorithm>
#include <cstring>

namespace moec::runtime::cuda {
namespace {

/// Lists to remember: prefill, decode, and what host reads cut them into.
constexpr size_t kMostLists = 8;
/// What a graph would not make cheaper is launched.
constexpr size_t kFewestLaunches = 2;
/// Bounds what is recorded before the GPU begins.
constexpr size_t kMostLaunches = 4096;

/// The parameters of a kernel, as the driver takes them.
class Parameters {
public:
  explicit Parameters(const KernelLaunch &launch)
      : grid(launch.grid), pointers{const_cast<uint64_t *>(launch.words), &grid} {}
  Parameters(const Parameters &) = delete;
  Parameters &operator=(const Parameters &) = delete;
  void **get() { return pointers; }

private:
  int64_t grid;
  void *pointers[2];
};

KernelNode nodeOf(const KernelLaunch &launch, Parameters &parameters) {
  KernelNode node;
  node.function = launch.function;
  node.gridX = launch.blocks;
  node.blockX = launch.threads;
  node.sharedBytes = launch.shared;
  node.parameters = parameters.get();
  return node;
}

bool isSame(const KernelLaunch &one, const KernelLaunch &other) {
  return one.blocks == other.blocks && one.grid == other.grid &&
         std::memcmp(one.words, other.words, one.wordCount * sizeof(uint64_t)) == 0;
}

} // namespace

//===--- Lists -------------------------------------------------------------===//

void LaunchList::add(const KernelLaunch &launch) {
  launches.push_back({launch, words.size()});
  words.insert(words.end(), launch.words, launch.words + launch.wordCount);
}

void LaunchList::clear() {
  launches.clear();
  words.clear();
}

KernelLaunch LaunchList::operator[](size_t index) const {
  KernelLaunch launch = launches[index].launch;
  launch.words = words.data() + launches[index].firstWord;
  return launch;
}

bool LaunchList::hasKernelsOf(const LaunchList &other) const {
  auto launchesSame = [](const Entry &one, const Entry &two) {
    return one.launch.function == two.launch.function &&
           one.launch.wordCount == two.launch.wordCount;
  };
  return std::equal(launches.begin(), launches.end(), other.launches.begin(), other.launches.end(),
                    launchesSame);
}

//===--- Lists that repeat -------------------------------------------------===//

/// A list, and the graph that launches it once it has come twice.
struct LaunchQueue::Repeated {
  Repeated(const Driver &driver, const LaunchList &list) : driver(driver), list(list) {}
  Repeated(const Repeated &) = delete;
  Repeated &operator=(const Repeated &) = delete;
  ~Repeated() {
    if (exec)
      driver.graphExecDestroy(exec);
    if (graph)
      driver.graphDestroy(graph);
  }

  /// A chain of the list's launches.
  Status build() {
    if (Status error = driver.check(driver.graphCreate(&graph, 0), "create a graph"))
      return error;
    nodes.reserve(list.size());
    for (size_t i = 0; i < list.size(); ++i) {
      Parameters parameters(list[i]);
      KernelNode kernel = nodeOf(list[i], parameters);
      GraphNode node = nullptr;
      if (Status error = driver.check(
              driver.graphAddKernel(&node, graph, i ? &nodes.back() : nullptr, i ? 1 : 0, &kernel),
              "add a kernel to a graph"))
        return error;
      nodes.push_back(node);
    }
    return driver.check(driver.graphInstantiate(&exec, graph, 0), "instantiate a graph");
  }

  /// Makes the graph launch `newer`, and takes it.
  Status update(LaunchList &newer) {
    for (size_t i = 0; i < list.size(); ++i) {
      if (isSame(list[i], newer[i]))
        continue;
      Parameters parameters(newer[i]);
      KernelNode kernel = nodeOf(newer[i], parameters);
      if (Status error =
              driver.check(driver.graphSetKernel(exec, nodes[i], &kernel), "change a graph"))
        return error;
    }
    std::swap(list, newer);
    return {};
  }

  const Driver &driver;
  LaunchList list;
  Graph graph = nullptr;
  GraphExec exec = nullptr;
  std::vector<GraphNode> nodes;
};

//===--- The queue ---------------------------------------------------------===//

LaunchQueue::LaunchQueue(const Gpu &gpu, bool usesGraphs) : gpu(gpu), usesGraphs(usesGraphs) {}
LaunchQueue::~LaunchQueue() { gpu.enter(); }

Status LaunchQueue::add(const KernelLaunch &launch) {
  if (!usesGraphs)
    return begin(launch);
  pending.add(launch);
  return pending.size() < kMostLaunches ? Status() : flush();
}

Status LaunchQueue::launch(const KernelLaunch &launch) {
  Status error = flush();
  return error ? error : begin(launch);
}

Status LaunchQueue::flush() {
  if (pending.size() == 0)
    return {};
  gpu.enter();
  auto known =
      pending.size() < kFewestLaunches
          ? seen.end()
          : std::find_if(
                seen.begin(), seen.end(),
                [&](const Repeated &repeated) { return repeated.list.hasKernelsOf(pending); });
  Status error;
  if (known != seen.end()) {
    seen.splice(seen.begin(), seen, known);
    error = replay(*known);
    if (error)
      seen.pop_front();
  } else {
    error = beginEach();
    if (pending.size() >= kFewestLaunches)
      seen.emplace_front(*gpu.driver, pending);
    if (seen.size() > kMostLists)
      seen.pop_back();
  }
  pending.clear();
  return error;
}

Status LaunchQueue::replay(Repeated &repeated) {
  if (!repeated.exec) {
    std::swap(repeated.list, pending);
    if (Status error = repeated.build())
      return error;
  } else if (Status error = repeated.update(pending)) {
    return error;
  }
  return gpu.driver->check(gpu.driver->graphLaunch(repeated.exec, stream), "launch a graph");
}

Status LaunchQueue::beginEach() const {
  for (size_t i = 0; i < pending.size(); ++i)
    if (Status error = begin(pending[i]))
      return error;
  return {};
}

Status LaunchQueue::begin(const KernelLaunch &launch) const {
  Parameters parameters(launch);
  Result result = gpu.driver->launchKernel(launch.function, launch.blocks, 1, 1, launch.threads, 1,
                                           1, launch.shared, stream, parameters.get(), nullptr);
  if (result == kSuccess)
    return {};
  std::string what = std::string("launch a kernel of node '") + launch.node + "'";
  return gpu.driver->check(result, what.c_str());
}

} // namespace moec::runtime::cuda
