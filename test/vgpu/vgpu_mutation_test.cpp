// Kernels with inputs that reach all of them: no size divides another, and some
// thread's first element is just outside. Run with VGPU_MUTATE, their mistakes
// are noticed; the ones that are not are in equivalent-mutants.txt.
#include "Gpu.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace {

class Mutated : public GpuTest {
protected:
  /// Blocks of one dimension with dynamic shared memory.
  template <class... Arguments>
  static void launchShared(CUfunction function, unsigned threads, unsigned bytes,
                           Arguments... arguments) {
    GPU_CHECK(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                 static_cast<int>(bytes)));
    GPU_CHECK(launch(function, {1}, {threads}, bytes, arguments...));
  }
  /// One block, as the only node of a graph.
  template <class... Arguments>
  static void launchAsGraph(CUfunction function, unsigned threads, Arguments... arguments) {
    void *parameters[] = {static_cast<void *>(&arguments)..., nullptr};
    CUDA_KERNEL_NODE_PARAMS kernel{};
    kernel.func = function;
    kernel.gridDimX = kernel.gridDimY = kernel.gridDimZ = 1;
    kernel.blockDimX = threads;
    kernel.blockDimY = kernel.blockDimZ = 1;
    kernel.kernelParams = parameters;
    CUgraph graph;
    CUgraphNode node;
    CUgraphExec exec;
    GPU_CHECK(cuGraphCreate(&graph, 0));
    GPU_CHECK(cuGraphAddKernelNode_v2(&node, graph, nullptr, 0, &kernel));
    GPU_CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
    GPU_CHECK(cuGraphLaunch(exec, nullptr));
    GPU_CHECK(cuGraphExecDestroy(exec));
    GPU_CHECK(cuGraphDestroy(graph));
  }
};

std::vector<float> numbers(size_t count, float first = 1) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST_F(Mutated, VectorAdd) {
  const int n = 100;
  std::vector<float> a = numbers(n), b = numbers(n, 50), wanted(n);
  for (int i = 0; i < n; ++i)
    wanted[i] = a[i] + b[i];
  Buffer<float> da(a), db(b), dc(std::vector<float>(n, -1));
  GPU_CHECK(launch(kernel("vector_add"), {2}, {64}, 0, da.address, db.address, dc.address, n));
  EXPECT_EQ(dc.get(), wanted);
}

TEST_F(Mutated, Reduction) {
  CUfunction function = kernel("reduction");
  for (int n : {300, 100}) {
    Buffer<float> in(numbers(n)), out(std::vector<float>(2, -1));
    GPU_CHECK(launch(function, {2}, {96}, 0, in.address, out.address, n));
    std::vector<float> wanted(2);
    for (int i = 0; i < n; ++i)
      wanted[i / 96 % 2] += static_cast<float>(i + 1);
    EXPECT_EQ(out.get(), wanted);
  }
}

/// Also with more threads than bins.
TEST_F(Mutated, Histogram) {
  CUfunction function = kernel("histogram");
  for (auto [n, threads] : {std::pair{500, 96u}, {100, 96u}, {300, 288u}}) {
    std::vector<unsigned char> in(n);
    std::vector<unsigned> wanted(256);
    for (int i = 0; i < n; ++i)
      ++wanted[in[i] = static_cast<unsigned char>(i * 7 % 256)];
    Buffer<unsigned char> data(in);
    Buffer<unsigned> counts(std::vector<unsigned>(256));
    GPU_CHECK(launch(function, {2}, {threads}, 0, data.address, counts.address, n));
    EXPECT_EQ(counts.get(), wanted);
  }
}

TEST_F(Mutated, Matmul) {
  const int m = 32, n = 32, k = 32;
  std::vector<float> a(m * k), b(k * n), wanted(m * n);
  for (int i = 0; i < m * k; ++i)
    a[i] = static_cast<float>(i % 7), b[i] = static_cast<float>(i % 11);
  for (int row = 0; row < m; ++row)
    for (int column = 0; column < n; ++column)
      for (int i = 0; i < k; ++i)
        wanted[row * n + column] += a[row * k + i] * b[i * n + column];
  Buffer<float> da(a), db(b), dc(std::vector<float>(m * n, -1));
  GPU_CHECK(
      launch(kernel("matmul"), {2, 2}, {16, 16}, 0, da.address, db.address, dc.address, m, n, k));
  EXPECT_EQ(dc.get(), wanted);
}

// --- Products of bf16 by tensor cores. Small integers: their sums are exact.

struct Matrix {
  Matrix(int rows, int columns, int factor) : columns(columns), values(rows * columns) {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(static_cast<int>(i * factor % 9) - 4);
  }
  float at(int row, int column) const { return values[row * columns + column]; }
  std::vector<uint16_t> bits() const {
    std::vector<uint16_t> result(values.size());
    std::transform(values.begin(), values.end(), result.begin(), [](float value) {
      return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
    });
    return result;
  }

  int columns;
  std::vector<float> values;
};

/// C = A × B, with stages that cp.async fills. More steps than stages, and fewer.
/// Kernels in graphs are tried like others: this one has mutants that are listed.
TEST_F(Mutated, GemmSm80) {
  CUfunction function = kernel("gemm_sm80");
  const int m = 64, n = 64;
  for (int k : {160, 32}) {
    Matrix a(m, k, 7), b(k, n, 5);
    std::vector<float> wanted(m * n);
    for (int row = 0; row < m; ++row)
      for (int column = 0; column < n; ++column)
        for (int i = 0; i < k; ++i)
          wanted[row * n + column] += a.at(row, i) * b.at(i, column);
    Buffer<uint16_t> da(a.bits()), db(b.bits());
    Buffer<float> dc(std::vector<float>(m * n, -1));
    launchAsGraph(function, 128, da.address, db.address, dc.address, m, n, k);
    EXPECT_EQ(dc.get(), wanted);
  }
}

CUtensorMap mapOf(CUdeviceptr address, int rows, int columns, cuuint32_t boxRows) {
  CUtensorMap map;
  cuuint64_t sizes[] = {cuuint64_t(columns), cuuint64_t(rows)}, strides[] = {columns * 2ull};
  cuuint32_t box[] = {64, boxRows}, steps[] = {1, 1};
  EXPECT_EQ(cuTensorMapEncodeTiled(
                &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, reinterpret_cast<void *>(address), sizes,
                strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
            CUDA_SUCCESS);
  return map;
}

/// C = A × Bᵀ, with a ring of stages that TMA fills and wgmma empties.
TEST_F(Mutated, GemmSm90a) {
  CUfunction function = kernel("gemm_sm90a");
  const int m = 64, n = 128;
  for (int k : {320, 64}) {
    Matrix a(m, k, 7), b(n, k, 5);
    std::vector<float> wanted(m * n);
    for (int row = 0; row < m; ++row)
      for (int column = 0; column < n; ++column)
        for (int i = 0; i < k; ++i)
          wanted[row * n + column] += a.at(row, i) * b.at(column, i);
    Buffer<uint16_t> da(a.bits()), db(b.bits());
    Buffer<float> dc(std::vector<float>(m * n, -1));
    launchShared(function, 160, 3 * (64 + 128) * 64 * 2, mapOf(da.address, m, k, 64),
                 mapOf(db.address, n, k, 128), dc.address, n, k);
    EXPECT_EQ(dc.get(), wanted);
  }
}

} // namespace
