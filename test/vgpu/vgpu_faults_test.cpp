// What goes wrong in a kernel is found, with its place, and fails the context
// as the driver's own errors do.
#include "Gpu.h"

namespace {

class Faults : public GpuTest {
protected:
  /// The next synchronisation tells the error, and all later calls as well.
  static void expectFault(CUresult error) {
    EXPECT_EQ(cuCtxSynchronize(), error);
    CUdeviceptr address;
    EXPECT_EQ(cuMemAlloc_v2(&address, 4), error);
  }
  static void expectFound(const std::vector<std::string> &parts) {
    std::string findings = takeFindings();
    for (const std::string &part : parts)
      EXPECT_NE(findings.find(part), std::string::npos) << part << " in " << findings;
  }
  CUdeviceptr allocate(size_t bytes) {
    CUdeviceptr address = 0;
    EXPECT_EQ(cuMemAlloc_v2(&address, bytes), CUDA_SUCCESS);
    return address; // freed with the context
  }
  CUfunction fault(const std::string &name) { return kernel(load("faults"), name); }
};

// One element too many is written: lane 4 of the last block's second warp.
TEST_F(Faults, OutOfBounds) {
  CUdeviceptr out = allocate(100 * 4);
  GPU_CHECK(launch(fault("out_of_bounds"), {2}, {64}, 0, out, 100));
  expectFault(CUDA_ERROR_ILLEGAL_ADDRESS);
  expectFound({"\"out-of-bounds\"", "writes 4 bytes outside of every allocation", "ends 0 bytes",
               "\"kernel\": \"out_of_bounds\"", "\"block\": [1, 0, 0], \"warp\": 1, \"lane\": 4",
               "st.global.u32"});
}

TEST_F(Faults, Misaligned) {
  CUdeviceptr out = allocate(256);
  GPU_CHECK(launch(fault("misaligned"), {1}, {32}, 0, out));
  expectFault(CUDA_ERROR_MISALIGNED_ADDRESS);
  expectFound({"\"misaligned\"", "\"lane\": 1", "access of 4 bytes"});
}

// The kernel goes on: hardware would not notice either.
TEST_F(Faults, UninitializedShared) {
  CUdeviceptr out = allocate(32 * 4);
  GPU_CHECK(launch(fault("uninitialized_shared"), {1}, {32}, 0, out));
  GPU_CHECK(cuCtxSynchronize());
  expectFound({"\"uninitialized-read\"", "shared memory", "\"lane\": 31", "\"count\": 1"});
}

TEST_F(Faults, UninitializedGlobal) {
  CUdeviceptr a = allocate(128 * 4), b = allocate(128 * 4), c = allocate(128 * 4);
  GPU_CHECK(cuMemsetD8_v2(a, 0, 128 * 4));
  GPU_CHECK(cuMemsetD8_v2(b, 0, 127 * 4));
  GPU_CHECK(launch(kernel("vector_add"), {1}, {128}, 0, a, b, c, 128));
  GPU_CHECK(cuCtxSynchronize());
  expectFound({"\"uninitialized-read\"", "global memory", "\"warp\": 3, \"lane\": 31"});
}

/// Each lane of a warp loads a word from an offset of its own.
class ScatteredLoads : public Faults {
protected:
  static constexpr unsigned kWords = 1024;
  static constexpr const char *kGather = R"(
    .version 8.0
    .target sm_80
    .address_size 64
    .visible .entry gather(.param .u64 data, .param .u64 offsets, .param .u64 out)
    {
      .reg .b32 %r<4>;
      .reg .b64 %rd<8>;
      mov.u32 %r0, %tid.x;
      mul.wide.u32 %rd0, %r0, 4;
      ld.param.u64 %rd1, [data];
      ld.param.u64 %rd2, [offsets];
      ld.param.u64 %rd3, [out];
      add.u64 %rd2, %rd2, %rd0;
      ld.global.s32 %r1, [%rd2];
      cvt.s64.s32 %rd4, %r1;
      add.u64 %rd4, %rd1, %rd4;
      ld.global.u32 %r2, [%rd4];
      add.u64 %rd3, %rd3, %rd0;
      st.global.u32 [%rd3], %r2;
      ret;
    })";

  void SetUp() override {
    Faults::SetUp();
    gather = kernel(loadText(kGather), "gather");
    data = allocate(kWords * 4);
    out = allocate(32 * 4);
    for (int lane = 0; lane < 32; ++lane)
      offsets.push_back(4 * (lane * 37 % 32 * 31));
  }
  void fill(unsigned words) {
    std::vector<unsigned> values;
    for (unsigned word = 0; word < words; ++word)
      values.push_back(3 * word);
    GPU_CHECK(cuMemcpyHtoD_v2(data, values.data(), 4 * words));
  }
  /// Launches, and waits if nothing is to go wrong.
  void run(bool waits = true) {
    CUdeviceptr from = allocate(32 * 4);
    GPU_CHECK(cuMemcpyHtoD_v2(from, offsets.data(), 32 * 4));
    GPU_CHECK(launch(gather, {1}, {32}, 0, data, from, out));
    if (waits)
      GPU_CHECK(cuCtxSynchronize());
  }

  CUfunction gather = nullptr;
  CUdeviceptr data = 0, out = 0;
  std::vector<int> offsets;
};

TEST_F(ScatteredLoads, GiveWhatIsThere) {
  fill(kWords);
  run();
  std::vector<unsigned> values(32);
  GPU_CHECK(cuMemcpyDtoH_v2(values.data(), out, 32 * 4));
  for (int lane = 0; lane < 32; ++lane)
    EXPECT_EQ(values[lane], 3u * static_cast<unsigned>(offsets[lane]) / 4) << lane;
}

TEST_F(ScatteredLoads, BehindTheEnd) {
  fill(kWords);
  offsets[5] = kWords * 4;
  run(false);
  expectFault(CUDA_ERROR_ILLEGAL_ADDRESS);
  expectFound({"\"out-of-bounds\"", "ends 0 bytes before it", "\"lane\": 5"});
}

TEST_F(ScatteredLoads, BeforeTheBegin) {
  fill(kWords);
  offsets[6] = -4;
  run(false);
  expectFault(CUDA_ERROR_ILLEGAL_ADDRESS);
  expectFound({"\"out-of-bounds\"", "\"lane\": 6"});
}

TEST_F(ScatteredLoads, OfWordsThatAreNotAligned) {
  fill(kWords);
  offsets[7] += 2;
  run(false);
  expectFault(CUDA_ERROR_MISALIGNED_ADDRESS);
  expectFound({"\"misaligned\"", "\"lane\": 7"});
}

TEST_F(ScatteredLoads, OfWhatNobodyWrote) {
  fill(kWords - 1);
  run();
  EXPECT_EQ(takeFindings(), "[]");
  offsets[9] = 4 * (kWords - 1);
  run();
  expectFound({"\"uninitialized-read\"", "global memory", "\"lane\": 9", "\"count\": 1"});
  fill(kWords);
  run();
  EXPECT_EQ(takeFindings(), "[]");
}

TEST_F(ScatteredLoads, OfACopyOfWhatNobodyWrote) {
  fill(kWords);
  run();
  EXPECT_EQ(takeFindings(), "[]");
  GPU_CHECK(cuMemcpyDtoD_v2(data + offsets[11], allocate(4), 4));
  run();
  expectFound({"\"uninitialized-read\"", "global memory", "\"lane\": 11"});
}

// Freed memory is no memory, even if the address was valid before.
TEST_F(Faults, UseAfterFree) {
  CUdeviceptr a = allocate(128 * 4), c = allocate(128 * 4);
  GPU_CHECK(cuMemsetD8_v2(a, 0, 128 * 4));
  GPU_CHECK(cuMemFree_v2(a));
  CUdeviceptr again = allocate(128 * 4);
  EXPECT_NE(again, a);
  GPU_CHECK(launch(kernel("vector_add"), {1}, {128}, 0, a, a, c, 128));
  expectFault(CUDA_ERROR_ILLEGAL_ADDRESS);
  expectFound({"\"out-of-bounds\"", "reads 4 bytes"});
}

TEST_F(Faults, SharedOutOfBounds) {
  CUdeviceptr out = allocate(32 * 4);
  GPU_CHECK(launch(fault("shared_bounds"), {1}, {32}, 32 * 4, out, 33));
  expectFault(CUDA_ERROR_ILLEGAL_ADDRESS);
  expectFound({"\"out-of-bounds\"", "shared memory"});
}

TEST_F(Faults, DivergentBarrier) {
  CUdeviceptr out = allocate(32 * 4);
  GPU_CHECK(launch(fault("divergent_barrier"), {1}, {32}, 0, out));
  expectFault(CUDA_ERROR_ILLEGAL_INSTRUCTION);
  expectFound({"\"barrier-divergence\"", "only 16 of the warp's 32 lanes"});
}

TEST_F(Faults, Deadlock) {
  CUdeviceptr out = allocate(64 * 4);
  GPU_CHECK(launch(fault("deadlock"), {1}, {64}, 0, out));
  expectFault(CUDA_ERROR_LAUNCH_TIMEOUT);
  expectFound({"\"deadlock\"", "warp 0, 32 lanes", "waits at barrier 1", "waits at barrier 2"});
}

// A kernel that waits for what never comes is ended, and says where it is.
TEST_F(Faults, Timeout) {
  CUdeviceptr lock = allocate(4), counter = allocate(4);
  GPU_CHECK(cuMemsetD32_v2(lock, 1, 1));
  GPU_CHECK(launch(kernel(load("atomics"), "spin_lock"), {1}, {32}, 0, lock, counter));
  expectFault(CUDA_ERROR_LAUNCH_TIMEOUT);
  expectFound({"\"deadlock\"", "not ended within VGPU_TIMEOUT", "warp 0, 32 lanes, ptx line"});
}

TEST_F(Faults, Trap) {
  GPU_CHECK(launch(fault("trap"), {1}, {1}, 0));
  expectFault(CUDA_ERROR_LAUNCH_FAILED);
  expectFound({"\"trap\""});
}

TEST_F(Faults, Assertion) {
  GPU_CHECK(launch(kernel(load("print"), "assertion"), {1}, {32}, 0, 5));
  expectFault(CUDA_ERROR_ASSERT);
  expectFound({"assertion 'threadIdx.x < limit' failed", "\"lane\": 5"});
}

TEST_F(Faults, HeapIsBounded) {
  Buffer<CUdeviceptr> pointers(32);
  GPU_CHECK(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 31 * 16));
  GPU_CHECK(launch(kernel(load("print"), "heap"), {1}, {32}, 0, pointers.address));
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS); // malloc gave null
  expectFound({"\"out-of-bounds\""});
}

// Work that was already in a queue is dropped.
TEST_F(Faults, LaterWorkIsDropped) {
  CUdeviceptr out = allocate(100 * 4), other = allocate(4);
  GPU_CHECK(cuMemsetD32_v2(other, 1, 1));
  CUfunction function = fault("out_of_bounds");
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  int n = 100;
  void *parameters[] = {&out, &n};
  GPU_CHECK(cuLaunchKernel(function, 2, 1, 1, 64, 1, 1, 0, stream, parameters, nullptr));
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(cuMemsetD32_v2(other, 2, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
  takeFindings();
}

} // namespace
