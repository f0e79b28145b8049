// vgpu-bench: how many instructions of warps the virtual GPU executes in a
// second, and how fast it multiplies matrices, with every check, on the one
// thread that an engine has. Seconds are the processor's: what else the machine
// does counts little. Arguments name the rows that are wanted.
#include "driver/cuda_driver.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr unsigned kBlocks = 32, kThreads = 256, kRepeats = 5;
constexpr uint64_t kWarps = uint64_t{kBlocks} * kThreads / 32;
constexpr size_t kDataBytes = 4 << 20;

std::vector<std::string_view> chosen; ///< what the arguments name

bool isChosen(std::string_view name) {
  return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
}

void check(CUresult result, const char *what) {
  if (result == CUDA_SUCCESS)
    return;
  std::fprintf(stderr, "vgpu-bench: %s fails with %d\n", what, result);
  std::exit(1);
}
#define CHECK(call) check(call, #call)

/// Lines of the kernel's loop that begin with one of the opcodes, or all.
unsigned countInLoop(const std::string &text, const std::string &kernel,
                     std::initializer_list<const char *> opcodes) {
  std::istringstream lines(text.substr(text.find(".entry " + kernel + "(")));
  bool isInside = false;
  unsigned count = 0;
  for (std::string line; std::getline(lines, line) && line != "}";) {
    line.erase(0, line.find_first_not_of(' '));
    if (line == "LOOP:")
      isInside = true;
    else if (isInside)
      count += opcodes.size() == 0 ||
               std::any_of(opcodes.begin(), opcodes.end(),
                           [&](const char *opcode) { return line.starts_with(opcode); });
    if (line.find("bra LOOP") != std::string::npos)
      isInside = false;
  }
  return count;
}

struct Benchmark {
  const char *kernel;
  unsigned passes;
  std::initializer_list<const char *> counted; ///< empty: all
  double target;                               ///< million a second
};

struct Shape {
  unsigned gridX, gridY, threads, sharedBytes;
};

/// The best of some runs, in seconds.
double measure(CUfunction function, const Shape &shape, void **parameters) {
  double best = 1e30;
  for (unsigned repeat = 0; repeat < kRepeats; ++repeat) {
    std::clock_t begin = std::clock();
    CHECK(cuLaunchKernel(function, shape.gridX, shape.gridY, 1, shape.threads, 1, 1,
                         shape.sharedBytes, nullptr, parameters, nullptr));
    CHECK(cuCtxSynchronize());
    best = std::min(best, double(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  return best;
}

std::string textOf(const std::string &path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

CUmodule load(const std::string &text) {
  CUmodule module;
  CHECK(cuModuleLoadData(&module, text.c_str()));
  return module;
}

CUdeviceptr filled(size_t bytes, unsigned char value) {
  CUdeviceptr address;
  CHECK(cuMemAlloc_v2(&address, bytes));
  CHECK(cuMemsetD8_v2(address, value, bytes));
  return address;
}

void timeInstructions() {
  std::string text = textOf(VGPU_BENCH_KERNELS);
  CUmodule module = load(text);
  CUdeviceptr data = filled(kDataBytes, 0);
  const Benchmark benchmarks[] = {{"alu", 4000, {}, 150},
                                  {"coalesced", 2000, {"ld.", "st."}, 60},
                                  {"shared", 600, {"ld.", "st."}, 15},
                                  {"scattered", 300, {"ld."}, 8}};
  std::printf("%-12s %28s %8s\n", "", "M warp-instructions / second", "target");
  for (const Benchmark &benchmark : benchmarks) {
    if (!isChosen(benchmark.kernel))
      continue;
    CUfunction function;
    CHECK(cuModuleGetFunction(&function, module, benchmark.kernel));
    unsigned passes = benchmark.passes;
    void *parameters[] = {&data, &passes};
    double seconds = measure(function, {kBlocks, 1, kThreads, 0}, parameters);
    double count =
        double(countInLoop(text, benchmark.kernel, benchmark.counted)) * benchmark.passes * kWarps;
    std::printf("%-12s %28.1f %8.0f\n", benchmark.kernel, count / seconds / 1e6, benchmark.target);
  }
  CHECK(cuMemFree_v2(data));
  CHECK(cuModuleUnload(module));
}

// --- Products of 512 × 512 matrices of bf16, by the kernels of the tests.

constexpr int kSide = 512;

void printProduct(const char *instruction, double seconds, double target) {
  double flops = 2.0 * kSide * kSide * kSide;
  std::printf("%-12s %28.1f %8.0f\n", instruction, flops / seconds / 1e9, target);
}

/// Blocks of 64 × 64 and four warps.
void timeMma(CUdeviceptr a, CUdeviceptr b, CUdeviceptr c) {
  CUmodule module = load(textOf(VGPU_TEST_KERNELS "/gemm_sm80.ptx"));
  CUfunction function;
  CHECK(cuModuleGetFunction(&function, module, "gemm_sm80"));
  int m = kSide, n = kSide, k = kSide;
  void *parameters[] = {&a, &b, &c, &m, &n, &k};
  printProduct("mma.sync", measure(function, {kSide / 64, kSide / 64, 128, 0}, parameters), 15);
  CHECK(cuModuleUnload(module));
}

CUtensorMap mapOf(CUdeviceptr address, cuuint32_t boxRows) {
  CUtensorMap map;
  cuuint64_t sizes[] = {kSide, kSide}, strides[] = {kSide * 2};
  cuuint32_t box[] = {64, boxRows}, steps[] = {1, 1};
  CHECK(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2,
                               reinterpret_cast<void *>(address), sizes, strides, box, steps,
                               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                               CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  return map;
}

/// Blocks of 64 × 128, four warps that multiply and one that copies.
void timeWgmma(CUdeviceptr a, CUdeviceptr b, CUdeviceptr c) {
  CUmodule module = load(textOf(VGPU_TEST_KERNELS "/gemm_sm90a.ptx"));
  CUfunction function;
  CHECK(cuModuleGetFunction(&function, module, "gemm_sm90a"));
  constexpr unsigned kBytes = 3 * (64 + 128) * 64 * 2;
  CHECK(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, kBytes));
  CUtensorMap mapA = mapOf(a, 64), mapB = mapOf(b, 128);
  int n = kSide, k = kSide;
  void *parameters[] = {&mapA, &mapB, &c, &n, &k};
  printProduct("wgmma", measure(function, {kSide / 128, kSide / 64, 160, kBytes}, parameters), 30);
  CHECK(cuModuleUnload(module));
}

void timeProducts() {
  std::printf("%-12s %28s %8s\n", "", "GFLOP / second", "target");
  CUdeviceptr a = filled(kSide * kSide * 2, 0x3f), b = filled(kSide * kSide * 2, 0x3f),
              c = filled(kSide * kSide * 4, 0);
  if (isChosen("mma.sync"))
    timeMma(a, b, c);
  if (isChosen("wgmma"))
    timeWgmma(a, b, c);
  for (CUdeviceptr matrix : {a, b, c})
    CHECK(cuMemFree_v2(matrix));
}

} // namespace

int main(int count, char **arguments) {
  chosen.assign(arguments + 1, arguments + count);
  CUcontext context;
  CHECK(cuInit(0));
  CHECK(cuCtxCreate_v2(&context, 0, 0));
  timeInstructions();
  timeProducts();
  CHECK(cuCtxDestroy_v2(context));
  return 0;
}
