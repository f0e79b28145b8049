// What completes at an mbarrier: asynchronous stores and reductions, copies to a cluster
// of one block, copies of single threads; and who leaves it.
#include "Gpu.h"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <sstream>

namespace {

class AsyncStores : public GpuTest {
protected:
  /// The text of the kernels, with one part of it changed.
  static std::string changed(const std::string &from, const std::string &to) {
    std::ifstream file(VGPU_TEST_KERNELS "/async_stores.ptx");
    std::stringstream text;
    text << file.rdbuf();
    std::string result = text.str();
    size_t at = result.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return result.replace(at, from.size(), to);
  }

  /// What is found when a kernel runs whose text is changed so.
  std::string findingsOf(const std::string &name, const std::string &from, const std::string &to) {
    Buffer<uint64_t> out(64);
    CUfunction function = kernel(loadText(changed(from, to)), name);
    EXPECT_EQ(launch(function, {1}, {64}, 0, out.address), CUDA_SUCCESS);
    cuCtxSynchronize();
    return takeFindings();
  }
};

TEST_F(AsyncStores, PairsArrive) {
  Buffer<uint32_t> out(128);
  GPU_CHECK(launch(kernel(load("async_stores"), "stores"), {1}, {64}, 0, out.address));
  std::vector<uint32_t> pairs = out.get();
  for (uint32_t thread = 0; thread < 64; ++thread) {
    EXPECT_EQ(pairs[2 * thread], 63 - thread);
    EXPECT_EQ(pairs[2 * thread + 1], 7 * (63 - thread));
  }
}

TEST_F(AsyncStores, ReductionsArrive) {
  Buffer<uint64_t> out(64);
  GPU_CHECK(launch(kernel(load("async_stores"), "reductions"), {1}, {64}, 0, out.address));
  std::vector<uint64_t> words = out.get();
  uint32_t sum = 0, exclusive = 100, inclusive = 100, increments = 100;
  for (uint32_t thread = 0; thread < 64; ++thread) {
    sum += thread;
    exclusive ^= thread;
    inclusive |= thread;
    increments = increments >= 110 ? 0 : increments + 1;
  }
  EXPECT_EQ(words[0], 100 + sum);
  EXPECT_EQ(words[1], 100 + sum);
  EXPECT_EQ(words[2], uint32_t(-40));
  EXPECT_EQ(words[3], uint32_t(-1));
  EXPECT_EQ(words[4], exclusive);
  EXPECT_EQ(words[5], increments);
  EXPECT_EQ(words[6], inclusive);
  EXPECT_EQ(words[7], 100u);
}

TEST_F(AsyncStores, ArrivalsOfAllKinds) {
  std::vector<uint32_t> values(128);
  std::iota(values.begin(), values.end(), 500);
  Buffer<uint32_t> in(values), out(64);
  GPU_CHECK(
      launch(kernel(load("async_stores"), "arrivals"), {1}, {64}, 0, in.address, out.address));
  std::vector<uint32_t> sums = out.get();
  for (uint32_t thread = 1; thread < 64; ++thread)
    EXPECT_EQ(sums[thread], values[64 + thread] + values[63 - thread]);
  // When the first thread leaves, it and the arrival for the bytes are missing. The
  // phase ends, and the next one expects one arrival.
  EXPECT_EQ(sums[0], values[64] + values[63] + 2 * 10 + 1 + 1000);
}

TEST_F(AsyncStores, BulkReductionsAdd) {
  Buffer<uint32_t> out(std::vector<uint32_t>(64, 5));
  GPU_CHECK(launch(kernel(load("async_stores"), "bulk_reduction"), {4}, {64}, 0, out.address));
  std::vector<uint32_t> sums = out.get();
  for (uint32_t word = 0; word < 64; ++word)
    EXPECT_EQ(sums[word], 5 + 4 * word);
}

TEST_F(AsyncStores, AMissingWaitIsFound) {
  EXPECT_NE(findingsOf("stores", "  @!%p1 bra WAIT;", "")
                .find("reads bytes that an asynchronous copy still writes"),
            std::string::npos);
}

TEST_F(AsyncStores, TooFewBytesAreADeadlock) {
  EXPECT_NE(findingsOf("stores", "[%r1], 512;", "[%r1], 516;").find("deadlock"), std::string::npos);
}

TEST_F(AsyncStores, WhatNobodyHasWrittenIsNotReduced) {
  EXPECT_NE(findingsOf("reductions", "  st.shared.u64 [%r4], %rd0;", "").find("uninitialized"),
            std::string::npos);
}

// Thread 0 uses a result of which it cannot know.
TEST_F(AsyncStores, AReadWithoutWaitRacesWithAReduction) {
  std::string findings =
      findingsOf("reductions", "  mbarrier.arrive.expect_tx.shared.b64 %rd1, [%r1], 32;",
                 "  mbarrier.arrive.expect_tx.shared.b64 %rd1, [%r1], 32;\n"
                 "  ld.shared.u64 %rd7, [%r4];");
  EXPECT_NE(findings, "[]");
}

TEST_F(AsyncStores, OtherBlocksAreRefused) {
  Buffer<uint32_t> in(std::vector<uint32_t>(128)), out(64);
  CUmodule module = loadText(changed("mov.u16 %h0, 1;", "mov.u16 %h0, 3;"));
  GPU_CHECK(launch(kernel(module, "arrivals"), {1}, {64}, 0, in.address, out.address));
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_INSTRUCTION);
  EXPECT_NE(takeFindings().find("copies to the blocks of mask 3 of a cluster of one block"),
            std::string::npos);
}

} // namespace
