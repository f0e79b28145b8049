//===- CheckedGpu.h - a GPU with kernels and memory to check it ------------===//
#pragma once

#include "runtime/devices/CudaLaunches.h"
#include "runtime/devices/CudaMemory.h"
#include "tools/moec/selfcheck/Report.h"

#include <vector>

namespace moec::tools {

/// The default stream of the first GPU. Kernels are launched one by one.
class CheckedGpu {
public:
  Status open() { return gpu.open(); }

  /// Adds a finding of what only hardware can show.
  void addProof(Report &report, Finding finding) const {
    if (isVirtual() && finding.verdict == Verdict::pass)
      finding.verdict = Verdict::unproven;
    report.add(std::move(finding));
  }
  /// Whether it is the virtual GPU, which executes PTX but is no hardware.
  bool isVirtual() const { return std::string(gpu.name).rfind("Virtual GPU", 0) == 0; }

  Status load(const std::string &ptx, runtime::cuda::LoadedModule &module) const {
    gpu.enter();
    return module.load(ptx.c_str());
  }
  Status launch(runtime::cuda::Function kernel, unsigned blocks, unsigned threads, int64_t grid,
                const std::vector<uint64_t> &words, unsigned shared = 0) {
    return queue.launch({"selfcheck", kernel, blocks, threads, shared, grid, words.data(),
                         static_cast<int64_t>(words.size())});
  }
  Status wait() const {
    gpu.enter();
    return gpu.driver->check(gpu.driver->streamSynchronize(nullptr), "execute a kernel");
  }

  Status upload(const runtime::Buffer &to, const void *from, size_t bytes) {
    return memory.copy(runtime::Memory::Direction::upload,
                       {to.data(), from, static_cast<int64_t>(bytes)});
  }
  Status download(void *to, const runtime::Buffer &from, size_t bytes) {
    return memory.copy(runtime::Memory::Direction::download,
                       {to, from.data(), static_cast<int64_t>(bytes)});
  }
  Status allocate(runtime::Buffer &buffer, size_t bytes) {
    buffer = runtime::Buffer(memory);
    if (buffer.allocate(bytes))
      return {};
    return failure(MOEC_OUT_OF_MEMORY, "no memory on the GPU for %zu bytes", bytes);
  }

  runtime::cuda::Gpu gpu;
  runtime::cuda::LaunchQueue queue{gpu, /*usesGraphs=*/false};
  runtime::cuda::GpuMemory memory{gpu};
};

/// The word of an argument table that points to a buffer.
inline uint64_t word(const runtime::Buffer &buffer) {
  return runtime::cuda::addressOf(buffer.data());
}

/// Products of matrices by mma.sync and wgmma.
void checkTensorCores(CheckedGpu &gpu, const runtime::cuda::LoadedModule &general, Report &report);

} // namespace moec::tools
