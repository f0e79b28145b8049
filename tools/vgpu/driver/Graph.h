#pragma once
// Graphs: tasks with dependencies, launched again and again.

#include "driver/Driver.h"
#include "exec/Launch.h"

namespace vgpu {

struct GraphNode {
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
  std::shared_ptr<const Launch> launch; ///< of a kernel
  std::function<void()> action;         ///< of everything else
  std::vector<size_t> dependencies;     ///< indices of earlier nodes

  static GraphNode kernel(std::shared_ptr<const Launch> launch) {
    GraphNode node;
    node.type = CU_GRAPH_NODE_TYPE_KERNEL;
    node.launch = std::move(launch);
    return node;
  }
  static GraphNode of(CUgraphNodeType type, std::function<void()> action) {
    GraphNode node;
    node.type = type;
    node.action = std::move(action);
    return node;
  }
};

struct Graph {
  /// Pointers to nodes are their handles.
  std::vector<std::unique_ptr<GraphNode>> nodes;

  /// The index of a node, or of nothing: the number of nodes.
  size_t find(CUgraphNode node) const;
};

struct GraphExec {
  std::vector<GraphNode> nodes;
  /// What the nodes were made from: handles, perhaps of what is gone.
  std::vector<CUgraphNode> origins;
};

/// What a stream, and those that wait for it, record instead of doing it.
struct GraphCapture {
  Graph graph;
  Stream *origin = nullptr;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  bool isInvalid = false;
  /// For each stream that takes part: the nodes that its next node comes after.
  std::map<Stream *, std::vector<size_t>> frontier;

  CUresult add(Stream &stream, GraphNode node);
};

/// A stream that waits for an event of a capture takes part in it.
CUresult joinCapture(Stream &stream, const Event &event);

/// Submits the nodes to the engine; the stream goes on when all are done.
CUresult launchGraph(Driver &driver, Context &context, Stream &stream, const GraphExec &exec);

} // namespace vgpu
