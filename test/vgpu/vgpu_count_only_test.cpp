// With VGPU_COUNT_ONLY, tensor instructions compute nothing and everything is
// counted as ever; kernels whose counts depend on their results are refused.
// The driver reads its environment once, so each case has a process of its own.
#include "driver/cuda_driver.h"
#include "driver/vgpu.h"

#include <cstdlib>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using nlohmann::json;
using Environment = std::vector<std::pair<const char *, const char *>>;

constexpr int kSide = 512;
Environment countOnly() { return {{"VGPU_COUNT_ONLY", "1"}, {"VGPU_ASSUME_INITIALIZED", "1"}}; }

/// What the calls answered, what was found, and what was counted.
struct Outcome {
  CUresult result;
  json findings, counters;
};

std::string taken(size_t (*take)(char *, size_t)) {
  std::string text(take(nullptr, 0) + 1, '\0');
  text.resize(take(text.data(), text.size()));
  return text;
}

/// Runs `work` in a process of its own, on a new context.
Outcome outcomeOf(const Environment &environment, const std::function<CUresult()> &work) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    setenv("VGPU_COUNTERS", "/dev/null", 1);
    for (auto [name, value] : environment)
      setenv(name, value, 1);
    CUcontext context;
    CUresult result = cuInit(0);
    if (result == CUDA_SUCCESS)
      result = cuCtxCreate_v2(&context, 0, 0);
    if (result == CUDA_SUCCESS)
      result = work();
    json outcome{{"result", static_cast<int>(result)},
                 {"findings", json::parse(taken(vgpuTakeFindings))},
                 {"counters", json::parse(taken(vgpuTakeCounters))}};
    std::string text = outcome.dump();
    bool isWritten = write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(isWritten ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char part[4096];
  for (ssize_t count; (count = read(ends[0], part, sizeof part)) > 0;)
    text.append(part, static_cast<size_t>(count));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  json outcome = json::parse(text, nullptr, false);
  if (outcome.is_discarded())
    return {CUDA_ERROR_UNKNOWN, {}, {}};
  return {static_cast<CUresult>(outcome["result"].get<int>()), outcome["findings"],
          outcome["counters"]};
}

#define TRY(call)                                                                                  \
  if (CUresult tried = call; tried != CUDA_SUCCESS)                                                \
  return tried

CUresult allocate(CUdeviceptr &address, size_t bytes, bool isInitialized = true) {
  TRY(cuMemAlloc_v2(&address, bytes));
  return isInitialized ? cuMemsetD8_v2(address, 0x3f, bytes) : CUDA_SUCCESS;
}

CUresult find(CUfunction &function, const std::string &text, const char *name) {
  CUmodule module;
  TRY(cuModuleLoadData(&module, text.c_str()));
  return cuModuleGetFunction(&function, module, name);
}

std::string textOf(const std::string &name) {
  std::ifstream file(VGPU_TEST_KERNELS "/" + name + ".ptx");
  return {std::istreambuf_iterator<char>(file), {}};
}

CUresult multiplyByMma(bool isInitialized) {
  CUdeviceptr a, b, c;
  TRY(allocate(a, kSide * kSide * 2, isInitialized));
  TRY(allocate(b, kSide * kSide * 2, isInitialized));
  TRY(allocate(c, kSide * kSide * 4, isInitialized));
  CUfunction function;
  TRY(find(function, textOf("gemm_sm80"), "gemm_sm80"));
  int m = kSide, n = kSide, k = kSide;
  void *parameters[] = {&a, &b, &c, &m, &n, &k};
  TRY(cuLaunchKernel(function, kSide / 64, kSide / 64, 1, 128, 1, 1, 0, nullptr, parameters,
                     nullptr));
  return cuCtxSynchronize();
}

CUresult mapOf(CUtensorMap &map, CUdeviceptr address, cuuint32_t boxRows) {
  cuuint64_t sizes[] = {kSide, kSide}, strides[] = {kSide * 2};
  cuuint32_t box[] = {64, boxRows}, steps[] = {1, 1};
  return cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2,
                                reinterpret_cast<void *>(address), sizes, strides, box, steps,
                                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

CUresult multiplyByWgmma(bool isInitialized) {
  CUdeviceptr a, b, c;
  TRY(allocate(a, kSide * kSide * 2, isInitialized));
  TRY(allocate(b, kSide * kSide * 2, isInitialized));
  TRY(allocate(c, kSide * kSide * 4, isInitialized));
  CUfunction function;
  TRY(find(function, textOf("gemm_sm90a"), "gemm_sm90a"));
  constexpr unsigned kBytes = 3 * (64 + 128) * 64 * 2;
  TRY(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, kBytes));
  CUtensorMap mapA, mapB;
  TRY(mapOf(mapA, a, 64));
  TRY(mapOf(mapB, b, 128));
  int n = kSide, k = kSide;
  void *parameters[] = {&mapA, &mapB, &c, &n, &k};
  TRY(cuLaunchKernel(function, kSide / 128, kSide / 64, 1, 160, 1, 1, kBytes, nullptr, parameters,
                     nullptr));
  return cuCtxSynchronize();
}

// Nothing but the values differs, of memory that nobody has written too.
TEST(CountOnly, CountsTheSameOfMma) {
  Outcome full = outcomeOf({}, [] { return multiplyByMma(true); });
  Outcome only = outcomeOf(countOnly(), [] { return multiplyByMma(false); });
  EXPECT_EQ(full.result, CUDA_SUCCESS);
  EXPECT_EQ(only.result, CUDA_SUCCESS);
  EXPECT_EQ(full.counters["total"]["tensor_flops"], 2 * kSide * kSide * kSide);
  EXPECT_EQ(full.counters, only.counters);
  EXPECT_EQ(only.findings, json::array());
}

TEST(CountOnly, CountsTheSameOfWgmma) {
  Outcome full = outcomeOf({}, [] { return multiplyByWgmma(true); });
  Outcome only = outcomeOf(countOnly(), [] { return multiplyByWgmma(false); });
  EXPECT_EQ(full.result, CUDA_SUCCESS);
  EXPECT_EQ(only.result, CUDA_SUCCESS);
  EXPECT_EQ(full.counters["total"]["tensor_flops"], 2 * kSide * kSide * kSide);
  EXPECT_EQ(full.counters, only.counters);
  EXPECT_EQ(only.findings, json::array());
}

// One of 64 blocks: a 64th of what is multiplied.
TEST(CountOnly, CountsTheFirstBlocks) {
  Environment environment = countOnly();
  environment.push_back({"VGPU_COUNT_BLOCKS", "1"});
  Outcome one = outcomeOf(environment, [] { return multiplyByMma(false); });
  EXPECT_EQ(one.result, CUDA_SUCCESS);
  EXPECT_EQ(one.counters["total"]["tensor_flops"], 2 * kSide * kSide * kSide / 64);
}

// Without asking for it, memory that nobody wrote is still found.
TEST(CountOnly, FindsWhatNobodyHasWritten) {
  Outcome outcome = outcomeOf({{"VGPU_COUNT_ONLY", "1"}}, [] { return multiplyByMma(false); });
  ASSERT_FALSE(outcome.findings.empty());
  EXPECT_EQ(outcome.findings[0]["kind"], "uninitialized-read");
}

// --- Kernels of one warp. %r20 to %r23 become results; %rd2 is the lane's place in
// `out`, %r1 in `tile`.

std::string kernelText(const std::string &body) {
  return R"(.version 8.1
.target sm_90
.address_size 64
.visible .entry test(.param .u64 out)
{
  .reg .pred %p<8>;
  .reg .b32 %r<40>;
  .reg .b64 %rd<8>;
  .shared .align 16 .b8 tile[512];
  mov.u32 %r0, %tid.x;
  shl.b32 %r2, %r0, 2;
  mov.u32 %r3, tile;
  add.u32 %r1, %r3, %r2;
  ld.param.u64 %rd0, [out];
  mul.wide.u32 %rd1, %r0, 4;
  add.u64 %rd2, %rd0, %rd1;
  ld.global.u32 %r10, [%rd2];
)" + body +
         "  ret;\n}\n";
}

constexpr const char *kMultiply =
    "  mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r20, %r21, %r22, %r23}, "
    "{%r10, %r10, %r10, %r10}, {%r10, %r10}, {%r10, %r10, %r10, %r10};\n";

/// Launches the kernels one after the other.
Outcome run(const std::vector<std::string> &bodies) {
  return outcomeOf({{"VGPU_COUNT_ONLY", "1"}}, [&]() -> CUresult {
    CUdeviceptr out;
    TRY(allocate(out, 4096));
    for (const std::string &body : bodies) {
      CUfunction function;
      TRY(find(function, kernelText(body), "test"));
      void *parameters[] = {&out};
      TRY(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, nullptr, parameters, nullptr));
      TRY(cuCtxSynchronize());
    }
    return CUDA_SUCCESS;
  });
}

void expectRefused(const std::vector<std::string> &bodies, const std::string &instruction) {
  Outcome outcome = run(bodies);
  EXPECT_EQ(outcome.result, CUDA_ERROR_ILLEGAL_INSTRUCTION);
  ASSERT_EQ(outcome.findings.size(), 1u) << outcome.findings;
  EXPECT_EQ(outcome.findings[0]["kind"], "not-countable");
  EXPECT_NE(outcome.findings[0]["message"].get<std::string>().find(instruction), std::string::npos)
      << outcome.findings;
}

constexpr const char *kAddress = "  and.b32 %r30, %r20, 124;\n  cvt.u64.u32 %rd3, %r30;\n"
                                 "  add.u64 %rd4, %rd0, %rd3;\n  ld.global.u32 %r31, [%rd4];\n";

TEST(CountOnly, TakesResultsAsData) {
  Outcome outcome =
      run({std::string(kMultiply) + "  add.f32 %r24, %r20, %r21;\n  st.shared.u32 [%r1], %r24;\n"
                                    "  ld.shared.u32 %r25, [%r1];\n  st.global.u32 [%rd2], %r25;\n",
           "  setp.gt.f32 %p1, %r10, 0f00000000;\n"
           "  selp.b32 %r11, %r10, 0, %p1;\n  st.global.u32 [%rd2], %r11;\n"});
  EXPECT_EQ(outcome.result, CUDA_SUCCESS);
  EXPECT_EQ(outcome.findings, json::array());
}

TEST(CountOnly, RefusesAddresses) {
  expectRefused({std::string(kMultiply) + kAddress}, "ld.global.u32");
}

TEST(CountOnly, RefusesBranches) {
  expectRefused({std::string(kMultiply) +
                 "  setp.gt.f32 %p1, %r20, 0f00000000;\n"
                 "  @%p1 bra DONE;\n  st.global.u32 [%rd2], %r0;\nDONE:\n"},
                "bra");
}

TEST(CountOnly, RefusesGuardsOfStores) {
  expectRefused({std::string(kMultiply) + "  setp.gt.f32 %p1, %r20, 0f00000000;\n"
                                          "  @%p1 st.global.u32 [%rd2], %r0;\n"},
                "st.global.u32");
}

TEST(CountOnly, FollowsResultsThroughSharedMemory) {
  expectRefused({std::string(kMultiply) +
                 "  st.shared.u32 [%r1], %r20;\n"
                 "  ld.shared.u32 %r20, [%r1];\n" +
                 kAddress},
                "ld.global.u32");
  expectRefused({std::string(kMultiply) +
                 "  st.shared.u32 [%r1], %r20;\n  bar.warp.sync 0xffffffff;\n"
                 "  ld.shared.u32 %r30, [%r1];\n  and.b32 %r30, %r30, 124;\n"
                 "  cvt.u64.u32 %rd3, %r30;\n  add.u64 %rd4, %rd0, %rd3;\n"
                 "  st.global.u32 [%rd4], %r0;\n"},
                "st.global.u32");
}

TEST(CountOnly, RefusesAsynchronousStores) {
  expectRefused({std::string(kMultiply) +
                 "  .shared .align 8 .b64 barrier;\n  mov.u32 %r4, barrier;\n"
                 "  setp.ne.u32 %p1, %r0, 0;\n  @%p1 bra DONE;\n"
                 "  mbarrier.init.shared.b64 [%r4], 1;\n"
                 "  st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r1], %r20, [%r4];\n"
                 "DONE:\n"},
                "st.async");
}

// The second kernel has no tensor instruction, but reads what one gave.
TEST(CountOnly, FollowsResultsThroughLaunches) {
  std::string first = std::string(kMultiply) + "  st.global.u32 [%rd2], %r20;\n";
  std::string second = "  and.b32 %r30, %r10, 124;\n  cvt.u64.u32 %rd3, %r30;\n"
                       "  add.u64 %rd4, %rd0, %rd3;\n  ld.global.u32 %r31, [%rd4];\n";
  expectRefused({first, second}, "ld.global.u32");
  Outcome overwritten = run({first, "  st.global.u32 [%rd2], %r0;\n", second});
  EXPECT_EQ(overwritten.result, CUDA_SUCCESS);
  EXPECT_EQ(overwritten.findings, json::array());
}

} // namespace
