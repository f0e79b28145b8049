// Plain CUDA kernels give the right results under every schedule, and nothing
// is found in them.
#include "Gpu.h"

#include <algorithm>
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
  template <class T> std::vector<T> randomIntegers(size_t count, uint32_t bound) {
    std::vector<T> values(count);
    for (T &value : values)
      value = static_cast<T>(random() % bound);
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
  std::vector<unsigned char> in = randomIntegers<unsigned char>(n, 256);
  std::vector<unsigned> wanted(256);
  for (unsigned char value : in)
    ++wanted[value];
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

// Blocks wait for blocks that took their tickets before.
TEST_F(Kernels, ScanWithLookBack) {
  int n = 5000, blocks = (n + 255) / 256;
  std::vector<unsigned> in = randomIntegers<unsigned>(n, 1000), wanted(n);
  std::partial_sum(in.begin(), in.end(), wanted.begin());
  Buffer<unsigned> din(in), dout(n), state(2 * blocks), ticket(1);
  state.clear();
  ticket.clear();
  GPU_CHECK(launch(kernel("scan"), {unsigned(blocks)}, {256}, 0, din.address, dout.address,
                   state.address, ticket.address, n));
  EXPECT_EQ(dout.get(), wanted);
}

TEST_F(Kernels, Transpose) {
  int width = 70, height = 45;
  std::vector<float> in = randomFloats(width * height);
  Buffer<float> din(in), dout(width * height);
  GPU_CHECK(
      launch(kernel("transpose"), {3, 2}, {32, 8}, 0, din.address, dout.address, width, height));
  std::vector<float> out = dout.get();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      EXPECT_EQ(out[x * height + y], in[y * width + x]);
}

// The image is no multiple of the tile.
TEST_F(Kernels, Convolution) {
  int width = 37, height = 21;
  std::vector<float> in = randomFloats(width * height), weights = randomFloats(25);
  CUmodule module = load("convolution");
  CUdeviceptr constants;
  size_t bytes;
  GPU_CHECK(cuModuleGetGlobal_v2(&constants, &bytes, module, "weights"));
  ASSERT_EQ(bytes, weights.size() * sizeof(float));
  GPU_CHECK(cuMemcpyHtoD_v2(constants, weights.data(), bytes));
  Buffer<float> din(in), dout(width * height);
  GPU_CHECK(launch(kernel(module, "convolution"), {3, 2}, {16, 16}, 0, din.address, dout.address,
                   width, height));
  std::vector<float> out = dout.get();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      float sum = 0;
      for (int dy = 0; dy < 5; ++dy)
        for (int dx = 0; dx < 5; ++dx) {
          int row = y + dy - 2, column = x + dx - 2;
          bool isInside = row >= 0 && row < height && column >= 0 && column < width;
          sum = std::fma(weights[5 * dy + dx], isInside ? in[row * width + column] : 0.0f, sum);
        }
      EXPECT_EQ(out[y * width + x], sum) << x << ", " << y;
    }
}

TEST_F(Kernels, Softmax) {
  int width = 300, rows = 3;
  std::vector<float> in = randomFloats(width * rows);
  Buffer<float> din(in), dout(width * rows);
  GPU_CHECK(
      launch(kernel("softmax"), {unsigned(rows)}, {128}, 0, din.address, dout.address, width));
  std::vector<float> out = dout.get();
  for (int row = 0; row < rows; ++row) {
    double sum = 0;
    for (int i = 0; i < width; ++i)
      sum += std::exp(double(in[row * width + i]));
    for (int i = 0; i < width; ++i)
      EXPECT_NEAR(out[row * width + i], std::exp(double(in[row * width + i])) / sum, 1e-7);
  }
}

TEST_F(Kernels, BitonicSort) {
  std::vector<int> keys = randomIntegers<int>(2048, 100000);
  Buffer<int> device(keys);
  GPU_CHECK(launch(kernel("bitonic"), {2}, {1024}, 1024 * sizeof(int), device.address));
  std::sort(keys.begin(), keys.begin() + 1024);
  std::sort(keys.begin() + 1024, keys.end());
  EXPECT_EQ(device.get(), keys);
}

int ackermann(int m, int n) {
  if (m == 0)
    return n + 1;
  return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

// Lanes of a warp recurse to different depths.
TEST_F(Kernels, Recursion) {
  Buffer<int> out(64);
  GPU_CHECK(launch(kernel(load("functions"), "recursion"), {1}, {64}, 0, out.address));
  std::vector<int> values = out.get();
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(values[i], ackermann(i % 3, i % 5)) << i;
}

TEST_F(Kernels, StructuresAsResults) {
  int n = 40;
  std::vector<long long> a(n);
  std::vector<int> b(n);
  for (int i = 0; i < n; ++i) {
    a[i] = (static_cast<long long>(random()) << 20) - (1ll << 50);
    b[i] = static_cast<int>(random() % 1000) + 1;
  }
  Buffer<long long> da(a), quotients(n);
  Buffer<int> db(b), remainders(n);
  GPU_CHECK(launch(kernel(load("functions"), "structures"), {1}, {64}, 0, da.address, db.address,
                   quotients.address, remainders.address, n));
  std::vector<long long> q = quotients.get();
  std::vector<int> r = remainders.get();
  for (int i = 0; i < n; ++i) {
    EXPECT_EQ(q[i], a[i] / b[i]);
    EXPECT_EQ(r[i], a[i] % b[i]);
  }
}

// Each lane calls what its own pointer says.
TEST_F(Kernels, FunctionPointers) {
  Buffer<float> out(96);
  GPU_CHECK(launch(kernel(load("functions"), "pointers"), {1}, {96}, 0, out.address));
  std::vector<float> values = out.get();
  for (int i = 0; i < 96; ++i)
    EXPECT_EQ(values[i], i % 3 == 0 ? 2.0f * i : i % 3 == 1 ? float(i) * i : -float(i)) << i;
}

TEST_F(Kernels, LocalArrays) {
  int n = 37, threads = 128;
  std::vector<int> in = randomIntegers<int>(n * threads, 1000);
  Buffer<int> din(in), dout(threads);
  GPU_CHECK(launch(kernel("local"), {2}, {64}, 0, din.address, dout.address, n));
  std::vector<int> out = dout.get();
  for (int thread = 0; thread < threads; ++thread) {
    unsigned counts[16] = {}, hash = 0;
    for (int i = 0; i < n; ++i)
      counts[in[thread * n + i] >> 2 & 15] += i;
    for (unsigned count : counts)
      hash = hash * 31 + count;
    EXPECT_EQ(static_cast<unsigned>(out[thread]), hash);
  }
}

TEST_F(Kernels, AtomicsOfAllKinds) {
  int n = 3 * 96;
  Buffer<int> ints(6), uints(3);
  Buffer<unsigned long long> longs(2);
  Buffer<float> floats(2);
  Buffer<double> doubles(1);
  ints.set({0, 0, 0, 0, -1, 0});
  uints.clear(), longs.clear(), floats.clear(), doubles.clear();
  GPU_CHECK(launch(kernel("atomics"), {3}, {96}, 0, ints.address, uints.address, longs.address,
                   floats.address, doubles.address));
  unsigned hash = 0;
  unsigned long long sum = 0;
  for (int i = 0; i < n; ++i) {
    hash ^= i * 2654435761u;
    sum += static_cast<unsigned long long>(i) << 20;
  }
  EXPECT_EQ(ints.get(), (std::vector<int>{n * (n - 1) / 2, 1 - n, n - 1, int(hash), int(0x80000000),
                                          0x7fffffff}));
  EXPECT_EQ(uints.get(), (std::vector<int>{n % 100, (100 - n % 100) % 100, -3 * n}));
  EXPECT_EQ(longs.get(),
            (std::vector<unsigned long long>{sum, static_cast<unsigned long long>(n - 1) << 33}));
  EXPECT_EQ(floats.get(), (std::vector<float>{float(n), float(n - 1)}));
  EXPECT_EQ(doubles.get(), (std::vector<double>{n / 2.0}));
}

// A lane that holds a lock goes on while lanes of its own warp spin.
TEST_F(Kernels, SpinLockWithinWarp) {
  Buffer<int> lock(1), counter(1);
  lock.clear();
  counter.clear();
  GPU_CHECK(
      launch(kernel(load("atomics"), "spin_lock"), {3}, {64}, 0, lock.address, counter.address));
  EXPECT_EQ(counter.get()[0], 3 * 64);
}

TEST_F(Kernels, Votes) {
  std::vector<int> in = randomIntegers<int>(32, 10);
  Buffer<int> din(in);
  Buffer<unsigned> dout(11 * 32);
  GPU_CHECK(launch(kernel("votes"), {1}, {32}, 0, din.address, dout.address));
  std::vector<unsigned> out = dout.get();
  unsigned ballot = 0, odd = 0;
  for (int i = 0; i < 32; ++i) {
    ballot |= unsigned{in[i] > 4} << i;
    odd += in[i] & 1;
  }
  for (int i = 0; i < 32; ++i) {
    unsigned same = 0;
    for (int j = 0; j < 32; ++j)
      same |= unsigned{in[i] == in[j]} << j;
    EXPECT_EQ(out[i], ballot);
    EXPECT_EQ(out[32 + i], std::count(in.begin(), in.end(), 7) > 0);
    EXPECT_EQ(out[64 + i], 1u);
    EXPECT_EQ(out[96 + i], same);
    EXPECT_EQ(out[128 + i], 0xffffffffu);
    EXPECT_EQ(out[160 + i], 1u);
    EXPECT_EQ(out[192 + i], unsigned(std::accumulate(in.begin(), in.end(), 0)));
    EXPECT_EQ(out[224 + i], unsigned(*std::max_element(in.begin(), in.end())));
    EXPECT_EQ(out[256 + i], unsigned(in[(i & 16) | (i * 5 % 32 & 15)]));
    EXPECT_EQ(out[320 + i], in[i] & 1 ? odd : 0u);
  }
}

TEST_F(Kernels, HalfWarpsShuffle) {
  Buffer<int> out(32);
  GPU_CHECK(launch(kernel(load("votes"), "half_warps"), {1}, {32}, 0, out.address));
  std::vector<int> values = out.get();
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(values[i], i < 16 ? 120 : 376);
}

// All blocks are resident together, and wait for each other at each step.
TEST_F(Kernels, CooperativeGridSync) {
  int n = 700, steps = 5;
  std::vector<float> a = randomFloats(n), b(n);
  Buffer<float> da(a), db(n);
  void *parameters[] = {&da.address, &db.address, &n, &steps};
  GPU_CHECK(
      cuLaunchCooperativeKernel(kernel("cooperative"), 5, 1, 1, 64, 1, 1, 0, nullptr, parameters));
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < n; ++i) {
      float left = 0.25f * a[(i + n - 1) % n];
      b[i] = std::fma(0.25f, a[(i + 1) % n], std::fma(0.5f, a[i], left));
    }
    std::swap(a, b);
  }
  EXPECT_EQ(db.get(), a);
}

TEST_F(Kernels, NamedBarriers) {
  int rounds = 7;
  std::vector<int> in = randomIntegers<int>(64 * rounds, 1000);
  Buffer<int> din(in), dout(64 * rounds);
  GPU_CHECK(
      launch(kernel(load("barriers"), "named"), {1}, {128}, 0, din.address, dout.address, rounds));
  std::vector<int> out = dout.get();
  for (int round = 0; round < rounds; ++round)
    for (int i = 0; i < 64; ++i)
      EXPECT_EQ(out[round * 64 + i], 2 * in[round * 64 + 63 - i]);
}

TEST_F(Kernels, BarriersThatReduce) {
  Buffer<int> out(3 * 100);
  GPU_CHECK(launch(kernel(load("barriers"), "reducing"), {1}, {100}, 0, out.address));
  std::vector<int> values = out.get();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(values[3 * i], 34);
    EXPECT_NE(values[3 * i + 1], 0);
    EXPECT_EQ(values[3 * i + 2], 0);
  }
}

TEST_F(Kernels, LoopsOfDifferentLengths) {
  int n = 150;
  std::vector<unsigned> in(n);
  std::iota(in.begin(), in.end(), 1);
  Buffer<unsigned> din(in), dout(n);
  GPU_CHECK(
      launch(kernel(load("divergence"), "collatz"), {2}, {96}, 0, din.address, dout.address, n));
  std::vector<unsigned> out = dout.get();
  for (int i = 0; i < n; ++i) {
    unsigned value = in[i], steps = 0;
    for (; value != 1; ++steps)
      value = value % 2 ? 3 * value + 1 : value / 2;
    EXPECT_EQ(out[i], steps);
  }
}

int interpret(const std::vector<unsigned char> &program, int i) {
  int value = i, length = static_cast<int>(program.size());
  for (int pc = 0; pc < length; ++pc)
    switch (program[(pc + i) % length]) {
    case 0:
      value += 3;
      break;
    case 1:
      value = static_cast<int>(5u * static_cast<unsigned>(value));
      break;
    case 2:
      value ^= 0x55;
      break;
    case 3:
      if (!(value & 1))
        value >>= 1;
      break;
    case 4:
      value = value < 0 ? static_cast<int>(0u - static_cast<unsigned>(value)) : value;
      break;
    case 5:
      for (int k = 0; k < (value & 3); ++k)
        value += k;
      break;
    case 6:
      if (value > 1000)
        return value;
      break;
    default:
      value = ~value;
    }
  return value;
}

// A switch in a loop, with lanes that leave early.
TEST_F(Kernels, Interpreter) {
  std::vector<unsigned char> program = randomIntegers<unsigned char>(60, 8);
  Buffer<unsigned char> dprogram(program);
  Buffer<int> dout(64);
  int length = 60;
  GPU_CHECK(launch(kernel(load("divergence"), "interpreter"), {1}, {64}, 0, dprogram.address,
                   dout.address, length));
  std::vector<int> out = dout.get();
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(out[i], interpret(program, i)) << i;
}

TEST_F(Kernels, Stencil) {
  int n = 500;
  std::vector<float> in = randomFloats(n);
  Buffer<float> din(in), dout(n);
  GPU_CHECK(launch(kernel("stencil"), {4}, {128}, 0, din.address, dout.address, n));
  std::vector<float> out = dout.get();
  for (int i = 0; i < n; ++i) {
    double sum = 0;
    for (int k = -3; k <= 3; ++k)
      sum += i + k >= 0 && i + k < n ? double(in[i + k]) * (4 - std::abs(k)) : 0;
    EXPECT_NEAR(out[i], sum, 1e-5);
  }
}

TEST_F(Kernels, NBody) {
  int n = 128;
  std::vector<float> bodies = randomFloats(4 * n);
  Buffer<float> dbodies(bodies), dforces(3 * n);
  GPU_CHECK(launch(kernel("nbody"), {2}, {64}, 64 * 16, dbodies.address, dforces.address, n));
  std::vector<float> forces = dforces.get();
  for (int i = 0; i < n; ++i) {
    double force[3] = {};
    for (int j = 0; j < n; ++j) {
      double d[3], square = 1e-3;
      for (int axis = 0; axis < 3; ++axis) {
        d[axis] = double(bodies[4 * j + axis]) - bodies[4 * i + axis];
        square += d[axis] * d[axis];
      }
      for (int axis = 0; axis < 3; ++axis)
        force[axis] += d[axis] * bodies[4 * j + 3] / (square * std::sqrt(square));
    }
    for (int axis = 0; axis < 3; ++axis)
      EXPECT_NEAR(forces[3 * i + axis], force[axis], 1e-4 * (1 + std::abs(force[axis])));
  }
}

TEST_F(Kernels, VectorsAndConstants) {
  int n = 100;
  std::vector<float> in = randomFloats(4 * n), weights = randomFloats(8);
  CUmodule module = load("vectors");
  CUdeviceptr constants;
  size_t bytes;
  GPU_CHECK(cuModuleGetGlobal_v2(&constants, &bytes, module, "weights"));
  ASSERT_EQ(bytes, 32u);
  GPU_CHECK(cuMemcpyHtoD_v2(constants, weights.data(), bytes));
  Buffer<float> din(in), dout(4 * n);
  GPU_CHECK(launch(kernel(module, "vectors"), {4}, {32}, 0, din.address, dout.address, n));
  std::vector<float> out = dout.get();
  for (int i = 0; i < n; ++i) {
    EXPECT_EQ(out[4 * i], in[4 * i] * weights[i % 8]);
    EXPECT_EQ(out[4 * i + 1], in[4 * i + 1] + weights[0]);
    EXPECT_EQ(out[4 * i + 2], in[4 * i + 2] - weights[1]);
    EXPECT_EQ(out[4 * i + 3], std::fma(in[4 * i + 3], weights[2], weights[3]));
  }
}

// One instruction reads shared, local and global memory in different lanes.
TEST_F(Kernels, GenericPointers) {
  std::vector<int> in = randomIntegers<int>(32, 1000);
  CUmodule module = load("vectors");
  Buffer<int> din(in);
  // Eight lanes' shared arrays end within the block's 32 elements.
  GPU_CHECK(launch(kernel(module, "generic"), {1}, {32}, 0, din.address));
  int wanted = 0;
  for (int thread = 0; thread < 32; ++thread)
    for (int i = 0; i < 4; ++i)
      wanted += thread % 3 == 0 ? i : thread % 3 == 1 ? in[(thread + i) % 32] : in[i];
  CUdeviceptr total;
  size_t bytes;
  GPU_CHECK(cuModuleGetGlobal_v2(&total, &bytes, module, "total"));
  int got;
  GPU_CHECK(cuMemcpyDtoH_v2(&got, total, 4));
  EXPECT_EQ(got, wanted);
}

TEST_F(Kernels, Printf) {
  int n = 3;
  testing::internal::CaptureStdout();
  GPU_CHECK(launch(kernel("print"), {1}, {32}, 0, n));
  GPU_CHECK(cuCtxSynchronize());
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "thread 0 of block:  0.00 a 123456789abc %\n"
                                                    "thread 1 of block:  0.25 b 123456789abc %\n"
                                                    "thread 2 of block:  0.50 c 123456789abc %\n");
}

TEST_F(Kernels, MallocAndFree) {
  CUmodule module = load("print");
  Buffer<CUdeviceptr> pointers(32);
  Buffer<int> sums(32);
  GPU_CHECK(launch(kernel(module, "heap"), {1}, {32}, 0, pointers.address));
  GPU_CHECK(launch(kernel(module, "free_heap"), {1}, {32}, 0, pointers.address, sums.address));
  std::vector<int> values = sums.get();
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(values[i], 6 * i);
}

} // namespace
