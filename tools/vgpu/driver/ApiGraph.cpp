// Graphs and stream capture.
#include "driver/Api.h"
#include "driver/Graph.h"
#include "driver/LaunchRequest.h"

#include <algorithm>

using namespace vgpu;

namespace {

/// Nodes of the graph, in the order of their making.
GraphExec instantiate(const Graph &graph) {
  GraphExec exec;
  for (const auto &node : graph.nodes) {
    exec.nodes.push_back(*node);
    exec.origins.push_back(reinterpret_cast<CUgraphNode>(node.get()));
  }
  return exec;
}

/// What a kernel's node is to do.
CUresult makeLaunch(Driver &driver, Context &context, const CUDA_KERNEL_NODE_PARAMS &node,
                    std::shared_ptr<const Launch> &launch) {
  if (!node.func || node.kern) {
    driver.explain("a node's kernel is given by func; kern is not supported");
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  return makeLaunch(driver, context, node.func,
                    {{node.gridDimX, node.gridDimY, node.gridDimZ},
                     {node.blockDimX, node.blockDimY, node.blockDimZ},
                     node.sharedMemBytes},
                    {node.kernelParams, node.extra}, launch);
}

CUgraphExecUpdateResult compare(const GraphExec &exec, const Graph &graph, size_t &culprit) {
  if (exec.nodes.size() != graph.nodes.size())
    return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
  for (culprit = 0; culprit < exec.nodes.size(); ++culprit) {
    const GraphNode &before = exec.nodes[culprit], &after = *graph.nodes[culprit];
    if (before.type != after.type)
      return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    if (before.dependencies != after.dependencies)
      return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
  }
  return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

/// All streams that take part must have come back to the origin.
bool isJoined(const GraphCapture &capture) {
  std::vector<bool> isFollowed(capture.graph.nodes.size(), false);
  for (const auto &node : capture.graph.nodes)
    for (size_t dependency : node->dependencies)
      isFollowed[dependency] = true;
  for (size_t node : capture.frontier.at(capture.origin))
    isFollowed[node] = true;
  for (bool followed : isFollowed)
    if (!followed)
      return false;
  return true;
}

} // namespace

VGPU_API CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  return inStream(handle, [&](Driver &, Context &context, Stream &stream) -> CUresult {
    if (&stream == &context.defaultStream)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream.capture || mode > CU_STREAM_CAPTURE_MODE_RELAXED)
      return stream.capture ? CUDA_ERROR_ILLEGAL_STATE : CUDA_ERROR_INVALID_VALUE;
    stream.capture = std::make_shared<GraphCapture>();
    stream.capture->origin = &stream;
    stream.capture->mode = mode;
    stream.capture->frontier[&stream] = {};
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph) {
  return inStream(handle, [&](Driver &driver, Context &context, Stream &stream) -> CUresult {
    if (!graph)
      return CUDA_ERROR_INVALID_VALUE;
    *graph = nullptr;
    if (!stream.capture)
      return CUDA_ERROR_ILLEGAL_STATE;
    std::shared_ptr<GraphCapture> capture = stream.capture;
    if (capture->origin != &stream)
      return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    for (const auto &[other, nodes] : capture->frontier)
      other->capture.reset();
    for (const auto &[key, event] : context.events)
      if (event->capture == capture)
        event->capture.reset();
    if (capture->isInvalid)
      return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!isJoined(*capture))
      return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    driver.graphs.add(std::make_unique<Graph>(std::move(capture->graph)), graph);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  return inStream(handle, [&](Driver &, Context &, Stream &stream) -> CUresult {
    if (!status)
      return CUDA_ERROR_INVALID_VALUE;
    *status = !stream.capture             ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream.capture->isInvalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                          : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuGraphCreate(CUgraph *graph, unsigned flags) {
  return guarded([&](Driver &driver) -> CUresult {
    if (!graph || flags)
      return CUDA_ERROR_INVALID_VALUE;
    driver.graphs.add(std::make_unique<Graph>(), graph);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuGraphDestroy(CUgraph handle) {
  return guarded([&](Driver &driver) -> CUresult {
    Graph *graph = driver.graphs.find(handle);
    if (!graph)
      return CUDA_ERROR_INVALID_VALUE;
    driver.graphs.remove(graph);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
  return guarded([&](Driver &driver) -> CUresult {
    Graph *graph = driver.graphs.find(handle);
    if (!graph || !count)
      return CUDA_ERROR_INVALID_VALUE;
    for (size_t index = 0; nodes && index < *count; ++index)
      nodes[index] = index < graph->nodes.size()
                         ? reinterpret_cast<CUgraphNode>(graph->nodes[index].get())
                         : nullptr;
    *count = nodes ? std::min(*count, graph->nodes.size()) : graph->nodes.size();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type) {
  return guarded([&](Driver &driver) -> CUresult {
    if (!type)
      return CUDA_ERROR_INVALID_VALUE;
    for (const auto &[key, graph] : driver.graphs)
      if (size_t index = graph->find(handle); index < graph->nodes.size()) {
        *type = graph->nodes[index]->type;
        return CUDA_SUCCESS;
      }
    return CUDA_ERROR_INVALID_VALUE;
  });
}

VGPU_API CUresult cuGraphAddKernelNode_v2(CUgraphNode *result, CUgraph handle,
                                          const CUgraphNode *dependencies, size_t count,
                                          const CUDA_KERNEL_NODE_PARAMS *parameters) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    Graph *graph = driver.graphs.find(handle);
    if (!graph || !result || !parameters || (count && !dependencies))
      return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<const Launch> launch;
    if (CUresult refused = makeLaunch(driver, context, *parameters, launch))
      return refused;
    auto node = std::make_unique<GraphNode>(GraphNode::kernel(std::move(launch)));
    for (size_t i = 0; i < count; ++i) {
      node->dependencies.push_back(graph->find(dependencies[i]));
      if (node->dependencies.back() == graph->nodes.size())
        return CUDA_ERROR_INVALID_VALUE;
    }
    *result = reinterpret_cast<CUgraphNode>(node.get());
    graph->nodes.push_back(std::move(node));
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph handle,
                                              unsigned long long) {
  return guarded([&](Driver &driver) -> CUresult {
    Graph *graph = driver.graphs.find(handle);
    if (!graph || !exec)
      return CUDA_ERROR_INVALID_VALUE;
    driver.graphExecs.add(std::make_unique<GraphExec>(instantiate(*graph)), exec);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph graphHandle,
                                       CUgraphExecUpdateResultInfo *result) {
  return guarded([&](Driver &driver) -> CUresult {
    GraphExec *exec = driver.graphExecs.find(handle);
    Graph *graph = driver.graphs.find(graphHandle);
    if (!exec || !graph || !result)
      return CUDA_ERROR_INVALID_VALUE;
    size_t culprit = 0;
    *result = {compare(*exec, *graph, culprit), nullptr, nullptr};
    if (result->result != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
      if (culprit < graph->nodes.size())
        result->errorNode = reinterpret_cast<CUgraphNode>(graph->nodes[culprit].get());
      return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    }
    exec->nodes = instantiate(*graph).nodes;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec handle, CUgraphNode node,
                                                    const CUDA_KERNEL_NODE_PARAMS *parameters) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    GraphExec *exec = driver.graphExecs.find(handle);
    if (!exec || !parameters)
      return CUDA_ERROR_INVALID_VALUE;
    auto origin = std::find(exec->origins.begin(), exec->origins.end(), node);
    if (origin == exec->origins.end())
      return CUDA_ERROR_INVALID_VALUE;
    GraphNode &changed = exec->nodes[static_cast<size_t>(origin - exec->origins.begin())];
    if (changed.type != CU_GRAPH_NODE_TYPE_KERNEL)
      return CUDA_ERROR_INVALID_VALUE;
    return makeLaunch(driver, context, *parameters, changed.launch);
  });
}

VGPU_API CUresult cuGraphUpload(CUgraphExec handle, CUstream stream) {
  return inStream(stream, [&](Driver &driver, Context &, Stream &) -> CUresult {
    return driver.graphExecs.find(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

VGPU_API CUresult cuGraphLaunch(CUgraphExec handle, CUstream streamHandle) {
  return inStream(streamHandle, [&](Driver &driver, Context &context, Stream &stream) -> CUresult {
    GraphExec *exec = driver.graphExecs.find(handle);
    if (!exec)
      return CUDA_ERROR_INVALID_VALUE;
    if (stream.capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    ++driver.graphLaunches;
    return launchGraph(driver, context, stream, *exec);
  });
}

VGPU_API CUresult cuGraphExecDestroy(CUgraphExec handle) {
  return guarded([&](Driver &driver) -> CUresult {
    GraphExec *exec = driver.graphExecs.find(handle);
    if (!exec)
      return CUDA_ERROR_INVALID_VALUE;
    driver.graphExecs.remove(exec);
    return CUDA_SUCCESS;
  });
}
