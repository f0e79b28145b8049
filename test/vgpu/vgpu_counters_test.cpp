// Counters give the numbers that can be worked out by hand, under every schedule.
#include "Gpu.h"
#include "driver/vgpu.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;

class Counters : public GpuTest {
protected:
  static void SetUpTestSuite() { setenv("VGPU_COUNTERS", "-", 1); }
  json take() {
    cuCtxSynchronize();
    std::string text(vgpuTakeCounters(nullptr, 0) + 1, '\0');
    text.resize(vgpuTakeCounters(text.data(), text.size()));
    return json::parse(text);
  }
  json only() {
    json counters = take();
    EXPECT_EQ(counters["launches"].size(), 1u);
    return counters["launches"][0];
  }
  CUfunction find(const char *name) { return kernel(load("counters"), name); }
};

constexpr unsigned kCount = 4096, kWarps = kCount / 32;

// 128 warps; each loads and stores 128 bytes, four sectors.
TEST_F(Counters, CoalescedCopy) {
  Buffer<float> in(std::vector<float>(kCount, 1)), out(kCount);
  GPU_CHECK(launch(find("copy"), {16}, {256}, 0, in.address, out.address));
  json counts = only();
  EXPECT_EQ(counts["kernel"], "copy");
  EXPECT_EQ(counts["global_requests"], 2 * kWarps);
  EXPECT_EQ(counts["global_sectors"], 2 * 4 * kWarps);
  EXPECT_EQ(counts["classes"]["store"], kWarps);
  EXPECT_EQ(counts["l2_read_bytes"], 4 * kCount);
  EXPECT_EQ(counts["l2_written_bytes"], 4 * kCount);
  EXPECT_EQ(counts["dram_read_bytes"], 4 * kCount);
  EXPECT_EQ(counts["dram_write_bytes"], 4 * kCount);
  EXPECT_EQ(counts["divergent_branches"], 0);
  EXPECT_EQ(counts["thread_instructions"].get<uint64_t>(),
            32 * counts["warp_instructions"].get<uint64_t>());
}

// A warp's loads reach over 256 bytes, eight sectors.
TEST_F(Counters, StrideOfTwo) {
  Buffer<float> in(std::vector<float>(2 * kCount, 1)), out(kCount);
  GPU_CHECK(launch(find("gather2"), {16}, {256}, 0, in.address, out.address));
  json counts = only();
  EXPECT_EQ(counts["global_sectors"], (8 + 4) * kWarps);
  EXPECT_EQ(counts["dram_read_bytes"], 8 * kCount);
  EXPECT_EQ(counts["dram_write_bytes"], 4 * kCount);
}

// 32 warps store a row, without conflicts, and load a column: all of one bank.
TEST_F(Counters, Transpose) {
  Buffer<float> in(std::vector<float>(1024, 1)), out(1024);
  GPU_CHECK(launch(find("transpose"), {1}, {32, 32}, 0, in.address, out.address));
  json counts = only();
  EXPECT_EQ(counts["shared_wavefronts"], 32 * 1 + 32 * 32);
  EXPECT_EQ(counts["bank_conflicts"], 32 * 31);
  EXPECT_EQ(counts["barriers"], 32);
  GPU_CHECK(launch(find("transposePadded"), {1}, {32, 32}, 0, in.address, out.address));
  counts = only();
  EXPECT_EQ(counts["shared_wavefronts"], 64);
  EXPECT_EQ(counts["bank_conflicts"], 0);
}

// 10,000 atomics in shared memory, then one for each bin and block. Three warps
// of six blocks pass two barriers.
TEST_F(Counters, Histogram) {
  Buffer<unsigned char> in(std::vector<unsigned char>(10000, 3));
  Buffer<unsigned> out(256);
  out.clear();
  GPU_CHECK(launch(kernel("histogram"), {6}, {96}, 0, in.address, out.address, 10000));
  json counts = only();
  EXPECT_EQ(counts["atomics"], 10000 + 6 * 256);
  EXPECT_EQ(counts["barriers"], 6 * 3 * 2);
}

// Of 1,000 elements, the last warp that works has eight.
TEST_F(Counters, Divergence) {
  Buffer<float> a(std::vector<float>(1000, 1)), b(std::vector<float>(1000, 1)), c(1000);
  GPU_CHECK(launch(kernel("vector_add"), {8}, {128}, 0, a.address, b.address, c.address, 1000));
  EXPECT_EQ(only()["divergent_branches"], 1);
}

// What a graph launches counts as launches, and the graph as one launch of a graph.
TEST_F(Counters, Graphs) {
  Buffer<float> in(std::vector<float>(kCount, 1)), out(kCount);
  CUfunction function = find("copy");
  void *arguments[] = {&in.address, &out.address};
  CUDA_KERNEL_NODE_PARAMS parameters{function, 16, 1,         1,       256,     1,
                                     1,        0,  arguments, nullptr, nullptr, nullptr};
  CUgraph graph;
  CUgraphNode nodes[2];
  CUgraphExec exec;
  GPU_CHECK(cuGraphCreate(&graph, 0));
  GPU_CHECK(cuGraphAddKernelNode_v2(&nodes[0], graph, nullptr, 0, &parameters));
  GPU_CHECK(cuGraphAddKernelNode_v2(&nodes[1], graph, nodes, 1, &parameters));
  GPU_CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (int i = 0; i < 3; ++i)
    GPU_CHECK(cuGraphLaunch(exec, nullptr));
  json counters = take();
  EXPECT_EQ(counters["launches"].size(), 6u);
  EXPECT_EQ(counters["graph_launches"], 3);
  EXPECT_EQ(take()["graph_launches"], 0);
  GPU_CHECK(cuGraphExecDestroy(exec));
  GPU_CHECK(cuGraphDestroy(graph));
}

// Seven passes of the loop, each with one load of four sectors. In the sum over
// launches, everything is twice.
TEST_F(Counters, MainLoop) {
  Buffer<float> in(std::vector<float>(7 * 32, 1)), out(32);
  CUfunction function = find("sumRows");
  GPU_CHECK(launch(function, {1}, {32}, 0, in.address, out.address, 7));
  GPU_CHECK(launch(function, {1}, {32}, 0, in.address, out.address, 7));
  json counters = take();
  ASSERT_EQ(counters["launches"].size(), 2u);
  json loop = counters["launches"][0]["main_loop"];
  EXPECT_EQ(loop["global_requests"], 7);
  EXPECT_EQ(loop["global_sectors"], 28);
  EXPECT_EQ(loop["classes"]["store"], nullptr);
  EXPECT_EQ(counters["total"]["global_sectors"], 2 * (28 + 4));
}

} // namespace
