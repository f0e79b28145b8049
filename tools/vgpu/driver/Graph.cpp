#include "driver/Graph.h"

#include "driver/Submit.h"
#include "driver/Tasks.h"

#include <algorithm>

namespace vgpu {

size_t Graph::find(CUgraphNode node) const {
  auto isNode = [&](const auto &each) { return reinterpret_cast<CUgraphNode>(each.get()) == node; };
  return static_cast<size_t>(std::find_if(nodes.begin(), nodes.end(), isNode) - nodes.begin());
}

CUresult GraphCapture::add(Stream &stream, GraphNode node) {
  if (isInvalid)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  node.dependencies = frontier[&stream];
  frontier[&stream] = {graph.nodes.size()};
  graph.nodes.push_back(std::make_unique<GraphNode>(std::move(node)));
  return CUDA_SUCCESS;
}

CUresult joinCapture(Stream &stream, const Event &event) {
  if (stream.capture && stream.capture != event.capture) {
    stream.capture->isInvalid = event.capture->isInvalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  if (&stream == &stream.context.defaultStream)
    return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
  stream.capture = event.capture;
  std::vector<size_t> &frontier = stream.capture->frontier[&stream];
  for (size_t node : event.captured)
    if (std::find(frontier.begin(), frontier.end(), node) == frontier.end())
      frontier.push_back(node);
  return CUDA_SUCCESS;
}

namespace {

/// A node goes on with the timeline of a node that it comes after, unless
/// another did so before; then it begins one.
TaskOrder orderOfNode(Context &context, const Task &task, std::set<const Task *> &continued) {
  TaskOrder order;
  order.timeline = SIZE_MAX;
  for (const auto &dependency : task.dependencies) {
    order.follow(dependency->order);
    if (order.timeline == SIZE_MAX && continued.insert(dependency.get()).second) {
      order.timeline = dependency->order.timeline;
      order.sequence = dependency->order.sequence;
    }
    order.settled = dependency->order.settled;
  }
  if (order.timeline == SIZE_MAX)
    order.timeline = context.device.timelines.add();
  ++order.sequence;
  return order;
}

/// One node after the other, so that a kernel is examined when all before it is done.
CUresult launchSerially(Driver &driver, Context &context, Stream &stream, const GraphExec &exec) {
  for (const GraphNode &node : exec.nodes)
    if (node.launch)
      submitKernel(driver, context, stream, node.launch);
    else if (node.action)
      submitAction(driver, context, stream, node.type, node.action);
  return CUDA_SUCCESS;
}

} // namespace

CUresult launchGraph(Driver &driver, Context &context, Stream &stream, const GraphExec &exec) {
  if (driver.mutations)
    return launchSerially(driver, context, stream, exec);
  std::vector<std::shared_ptr<Task>> tasks;
  auto end = std::make_shared<ActionTask>(context, [] {});
  auto begin = std::make_shared<ActionTask>(context, [] {});
  context.submit(stream, begin);
  // The stream's own timeline goes on with the end.
  std::set<const Task *> continued{begin.get()};
  for (const GraphNode &node : exec.nodes) {
    std::shared_ptr<Task> task;
    if (node.launch)
      task = std::make_shared<KernelTask>(context, node.launch, driver.seed);
    else
      task = std::make_shared<ActionTask>(context, node.action ? node.action : [] {});
    task->dependencies.push_back(begin);
    for (size_t dependency : node.dependencies)
      task->dependencies.push_back(tasks[dependency]);
    task->order = orderOfNode(context, *task, continued);
    tasks.push_back(task);
    end->dependencies.push_back(task);
  }
  for (auto &task : tasks)
    context.device.engine.submit(std::move(task));
  context.submit(stream, end);
  return CUDA_SUCCESS;
}

} // namespace vgpu
