// Plain CUDA kernels give the right results under every schedule, and nothing
// is found in them.
#include "Gpu.h"

#include <cmath>
#include <numeric>
#include <random>

namespace {

class Kernels : public GpuTest {
protected:
  std::vector<float> randomFloats(size_t count) {
    std::vector<float> values(count);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float &value : values)
      value = uniform(random);
    return values;
  }

  std::mt19937 random{1};
};

// The last block is not full.
TEST_F(Kernels, VectorAdd) {
  int n = 1000;
  std::vector<float> a = randomFloats(n), b = randomFloats(n);
  Buffer<float> da(a), db(b), dc(n);
  GPU_CHECK(launch(kernel("vector_add"), {8}, {128}, 0, da.address, db.address, dc.address, n));
  std::vector<float> c = dc.get();
  for (int i = 0; i < n; ++i)
    EXPECT_EQ(c[i], a[i] + b[i]) << i;
}

TEST_F(Kernels, Reduction) {
  int n = 5000, blocks = 4;
  std::vector<float> in(n);
  std::iota(in.begin(), in.end(), 1.0f);
  Buffer<float> din(in), dout(blocks);
  GPU_CHECK(launch(kernel("reduction"), {4}, {256}, 0, din.address, dout.address, n));
  std::vector<float> out = dout.get();
  EXPECT_EQ(std::accumulate(out.begin(), out.end(), 0.0), 5000.0 * 5001 / 2);
}

TEST_F(Kernels, Histogram) {
  int n = 10000;
  std::vector<unsigned char> in(n);
  std::vector<unsigned> wanted(256);
  for (unsigned char &value : in)
    ++wanted[value = random() % 256];
  Buffer<unsigned char> din(in);
  Buffer<unsigned> counts(256);
  counts.clear();
  GPU_CHECK(launch(kernel("histogram"), {6}, {96}, 0, din.address, counts.address, n));
  EXPECT_EQ(counts.get(), wanted);
}

TEST_F(Kernels, Matmul) {
  int m = 48, n = 64, k = 32;
  std::vector<float> a = randomFloats(m * k), b = randomFloats(k * n);
  Buffer<float> da(a), db(b), dc(m * n);
  GPU_CHECK(
      launch(kernel("matmul"), {4, 3}, {16, 16}, 0, da.address, db.address, dc.address, m, n, k));
  std::vector<float> c = dc.get();
  for (int row = 0; row < m; ++row)
    for (int column = 0; column < n; ++column) {
      float sum = 0;
      for (int i = 0; i < k; ++i)
        sum = std::fma(a[row * k + i], b[i * n + column], sum);
      EXPECT_EQ(c[row * n + column], sum) << row << ", " << column;
    }
}

} // namespace
