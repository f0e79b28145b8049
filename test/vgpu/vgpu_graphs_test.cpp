// Graphs: what streams capture, and what is made node by node.
#include "DriverApi.h"

namespace {

TEST_F(DriverApi, GraphsRepeatWhatWasCaptured) {
  Buffer<int> data(100), copy(100);
  data.clear();
  CUstream stream, side;
  CUevent fork, join;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuEventCreate(&fork, 0));
  GPU_CHECK(cuEventCreate(&join, 0));
  GPU_CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  CUstreamCaptureStatus status;
  GPU_CHECK(cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  GPU_CHECK(increment(stream, data.address, 100));
  GPU_CHECK(cuEventRecord(fork, stream));
  GPU_CHECK(cuStreamWaitEvent(side, fork, 0));
  GPU_CHECK(cuMemsetD32Async(copy.address, 7, 100, side));
  GPU_CHECK(cuEventRecord(join, side));
  GPU_CHECK(cuStreamWaitEvent(stream, join, 0));
  GPU_CHECK(cuMemcpyDtoDAsync_v2(copy.address, data.address, 200, stream));
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CUgraph graph;
  GPU_CHECK(cuStreamEndCapture(stream, &graph));
  EXPECT_EQ(data.get(), std::vector<int>(100, 0)); // nothing has run
  size_t count = 0;
  GPU_CHECK(cuGraphGetNodes(graph, nullptr, &count));
  EXPECT_EQ(count, 3u);
  CUgraphExec exec;
  GPU_CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (int launch = 0; launch < 4; ++launch)
    GPU_CHECK(cuGraphLaunch(exec, stream));
  GPU_CHECK(cuStreamSynchronize(stream));
  EXPECT_EQ(data.get(), std::vector<int>(100, 4));
  std::vector<int> copied = copy.get();
  EXPECT_EQ(copied[49], 4);
  EXPECT_EQ(copied[50], 7);
  GPU_CHECK(cuGraphExecDestroy(exec));
  GPU_CHECK(cuGraphDestroy(graph));
  for (CUstream each : {stream, side})
    GPU_CHECK(cuStreamDestroy_v2(each));
}

TEST_F(DriverApi, GraphsCanBeUpdated) {
  Buffer<int> first(32), second(32);
  first.clear(), second.clear();
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  auto capture = [&](CUdeviceptr data, int times) {
    CUgraph graph = nullptr;
    EXPECT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
    for (int time = 0; time < times; ++time)
      EXPECT_EQ(increment(stream, data, 32), CUDA_SUCCESS);
    EXPECT_EQ(cuStreamEndCapture(stream, &graph), CUDA_SUCCESS);
    return graph;
  };
  CUgraph one = capture(first.address, 1), same = capture(second.address, 1),
          longer = capture(second.address, 2);
  CUgraphExec exec;
  CUgraphExecUpdateResultInfo result;
  GPU_CHECK(cuGraphInstantiateWithFlags(&exec, one, 0));
  EXPECT_EQ(cuGraphExecUpdate_v2(exec, longer, &result), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
  EXPECT_EQ(result.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
  GPU_CHECK(cuGraphExecUpdate_v2(exec, same, &result));
  GPU_CHECK(cuGraphLaunch(exec, stream));
  GPU_CHECK(cuStreamSynchronize(stream));
  EXPECT_EQ(first.get()[0], 0);
  EXPECT_EQ(second.get()[0], 1);
  GPU_CHECK(cuGraphExecDestroy(exec));
  for (CUgraph graph : {one, same, longer})
    GPU_CHECK(cuGraphDestroy(graph));
  GPU_CHECK(cuStreamDestroy_v2(stream));
}

/// A graph that is made node by node, whose nodes then get other arguments.
TEST_F(DriverApi, GraphsOfKernelNodes) {
  Buffer<int> first(64), second(64);
  first.clear(), second.clear();
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr data = first.address;
  unsigned count = 64;
  void *arguments[] = {&data, &count};
  CUDA_KERNEL_NODE_PARAMS parameters{
      kernel(module, "increment"), 2, 1, 1, 32, 1, 1, 0, arguments, nullptr, nullptr, nullptr};
  CUgraph graph;
  CUgraphNode nodes[2], foreign = nullptr;
  CUgraphExec exec;
  GPU_CHECK(cuGraphCreate(&graph, 0));
  GPU_CHECK(cuGraphAddKernelNode_v2(&nodes[0], graph, nullptr, 0, &parameters));
  EXPECT_EQ(cuGraphAddKernelNode_v2(&nodes[1], graph, &foreign, 1, &parameters),
            CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuGraphAddKernelNode_v2(&nodes[1], graph, nodes, 1, &parameters));
  GPU_CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  GPU_CHECK(cuGraphLaunch(exec, stream));
  // What is set is what the next launch does; the one before keeps its own.
  data = second.address, count = 32, parameters.gridDimX = 1;
  GPU_CHECK(cuGraphExecKernelNodeSetParams_v2(exec, nodes[1], &parameters));
  EXPECT_EQ(cuGraphExecKernelNodeSetParams_v2(exec, foreign, &parameters),
            CUDA_ERROR_INVALID_VALUE);
  parameters.blockDimX = 2048;
  EXPECT_EQ(cuGraphExecKernelNodeSetParams_v2(exec, nodes[1], &parameters),
            CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuGraphLaunch(exec, stream));
  GPU_CHECK(cuStreamSynchronize(stream));
  EXPECT_EQ(first.get(), std::vector<int>(64, 3));
  std::vector<int> half(64);
  std::fill_n(half.begin(), 32, 1);
  EXPECT_EQ(second.get(), half);
  GPU_CHECK(cuGraphExecDestroy(exec));
  GPU_CHECK(cuGraphDestroy(graph));
  GPU_CHECK(cuStreamDestroy_v2(stream));
}

TEST_F(DriverApi, CapturesMustJoin) {
  Buffer<int> data(32);
  data.clear();
  CUstream stream, side;
  CUevent fork;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuEventCreate(&fork, 0));
  GPU_CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  GPU_CHECK(cuEventRecord(fork, stream));
  GPU_CHECK(cuStreamWaitEvent(side, fork, 0));
  GPU_CHECK(increment(side, data.address, 32));
  CUgraph graph;
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  EXPECT_EQ(graph, nullptr);
  for (CUstream each : {stream, side})
    GPU_CHECK(cuStreamDestroy_v2(each));
}

} // namespace
