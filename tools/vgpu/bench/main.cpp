// vgpu-bench: how many instructions of warps the virtual GPU executes in a
// second, with every check, on the one thread that an engine has.
#include "driver/cuda_driver.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace {

constexpr unsigned kBlocks = 32, kThreads = 256, kRepeats = 5;
constexpr uint64_t kWarps = uint64_t{kBlocks} * kThreads / 32;
constexpr size_t kDataBytes = 4 << 20;

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

/// The best of some runs, in seconds.
double measure(CUfunction function, CUdeviceptr data, unsigned passes) {
  double best = 1e30;
  for (unsigned repeat = 0; repeat < kRepeats; ++repeat) {
    void *parameters[] = {&data, &passes};
    auto begin = std::chrono::steady_clock::now();
    CHECK(cuLaunchKernel(function, kBlocks, 1, 1, kThreads, 1, 1, 0, nullptr, parameters, nullptr));
    CHECK(cuCtxSynchronize());
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

} // namespace

int main() {
  std::ifstream file(VGPU_BENCH_KERNELS);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  CUcontext context;
  CUmodule module;
  CUdeviceptr data;
  CHECK(cuInit(0));
  CHECK(cuCtxCreate_v2(&context, 0, 0));
  CHECK(cuModuleLoadData(&module, text.c_str()));
  CHECK(cuMemAlloc_v2(&data, kDataBytes));
  CHECK(cuMemsetD8_v2(data, 0, kDataBytes));
  const Benchmark benchmarks[] = {{"alu", 4000, {}, 150},
                                  {"coalesced", 2000, {"ld.", "st."}, 60},
                                  {"shared", 600, {"ld.", "st."}, 15},
                                  {"scattered", 300, {"ld."}, 8}};
  std::printf("%-12s %28s %8s\n", "", "M warp-instructions / second", "target");
  for (const Benchmark &benchmark : benchmarks) {
    CUfunction function;
    CHECK(cuModuleGetFunction(&function, module, benchmark.kernel));
    double seconds = measure(function, data, benchmark.passes);
    double count =
        double(countInLoop(text, benchmark.kernel, benchmark.counted)) * benchmark.passes * kWarps;
    std::printf("%-12s %28.1f %8.0f\n", benchmark.kernel, count / seconds / 1e6, benchmark.target);
  }
  CHECK(cuMemFree_v2(data));
  CHECK(cuModuleUnload(module));
  CHECK(cuCtxDestroy_v2(context));
  return 0;
}
