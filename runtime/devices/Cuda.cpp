//===- Cuda.cpp - kernels are PTX, run by CUDA's driver --------------------===//
#include "runtime/devices/CudaMemory.h"
#include "runtime/devices/Device.h"

#include <algorithm>

namespace moec::runtime {
namespace {

using cuda::addressOf;
using cuda::Driver;
using cuda::Gpu;
using cuda::GpuMemory;
using cuda::KernelLaunch;

/// A kernel and how its indices are cut into blocks.
struct CudaKernel {
  cuda::Function function;
  Geometry geometry;
};

class CudaDevice final : public Device {
public:
  CudaDevice(const Model &model, const Gpu &gpu, const std::vector<CudaKernel> &kernels,
             bool usesGraphs)
      : model(model), gpu(gpu), driver(*gpu.driver), kernels(kernels), queue(gpu, usesGraphs),
        failures(model.metadata().sites.size()) {}

  ~CudaDevice() override {
    gpu.enter();
    if (stream)
      driver.streamSynchronize(stream);
    statuses.release();
    if (stream)
      driver.streamDestroy(stream);
  }

  Status start() {
    gpu.enter();
    if (Status error =
            driver.check(driver.streamCreate(&stream, cuda::kNonBlockingStream), "create a stream"))
      return error;
    queue.setStream(stream);
    memory_ = std::make_unique<GpuMemory>(gpu, stream, &queue);
    statuses = Buffer(*memory_);
    if (!statuses.allocate(statusBytes()))
      return failure(MOEC_OUT_OF_MEMORY, "no memory on the GPU for a session");
    return clearStatuses();
  }

  int threads() const override { return 1; }
  Memory &memory() override { return *memory_; }

  Status launch(const Launch &launch, Trace &trace) override {
    const Site &site = model.metadata().sites[launch.site];
    const CudaKernel &kernel = kernels[site.kernel];
    if (launch.grid <= 0)
      return {};
    launch.arguments[0] = addressOf(statuses.data()) + launch.site * sizeof(int32_t);
    constexpr int64_t kMostBlocks = INT32_MAX;
    int64_t blocks = (launch.grid - 1) / kernel.geometry.indices + 1;
    if (blocks > kMostBlocks)
      return failure(MOEC_EXECUTION_FAILED, "node '%s': it needs %lld blocks, but a GPU has %lld",
                     site.name.c_str(), static_cast<long long>(blocks),
                     static_cast<long long>(kMostBlocks));
    gpu.enter();
    KernelLaunch begun{site.name.c_str(),
                       kernel.function,
                       static_cast<unsigned>(blocks),
                       static_cast<unsigned>(kernel.geometry.threads),
                       static_cast<unsigned>(kernel.geometry.shared),
                       launch.grid,
                       launch.arguments,
                       launch.words};
    return trace.active() ? record(begun, launch, trace) : queue.add(begun);
  }

  Status finish() override {
    gpu.enter();
    if (Status error = queue.flush())
      return error;
    if (!failures.empty())
      if (Status error = driver.check(
              driver.copyToHost(failures.data(), addressOf(statuses.data()), statusBytes(), stream),
              "execute the kernels"))
        return error;
    if (Status error = driver.check(driver.streamSynchronize(stream), "execute the kernels"))
      return error;
    auto failed = std::find_if(failures.begin(), failures.end(), [](int32_t s) { return s; });
    if (failed == failures.end())
      return {};
    if (Status error = clearStatuses())
      return error;
    const Metadata &metadata = model.metadata();
    return checkFailure(metadata, *failed, &metadata.sites[failed - failures.begin()]);
  }

private:
  int64_t statusBytes() const { return static_cast<int64_t>(failures.size() * sizeof(int32_t)); }

  Status clearStatuses() {
    if (failures.empty())
      return {};
    return driver.check(driver.memorySet(addressOf(statuses.data()), 0, failures.size(), stream),
                        "clear the statuses of kernels");
  }

  /// A trace shows kernels one by one, from launch to end.
  Status record(const KernelLaunch &begun, const Launch &launch, Trace &trace) {
    int64_t begin = traceClock();
    if (Status error = queue.launch(begun))
      return error;
    if (Status error = driver.check(driver.streamSynchronize(stream), "execute a kernel"))
      return error;
    trace.kernel(0, launch.site, begin, traceClock());
    const Site &site = model.metadata().sites[launch.site];
    if (!site.experts || site.offsetsWord >= launch.words)
      return {};
    std::vector<int32_t> offsets(site.experts + 1);
    auto *from = reinterpret_cast<const void *>(launch.arguments[site.offsetsWord]);
    Status error = memory_->copy(
        Memory::Direction::download,
        {offsets.data(), from, static_cast<int64_t>(offsets.size() * sizeof(int32_t))});
    if (!error)
      trace.tokensPerExpert(launch.site, offsets.data(), site.experts);
    return error;
  }

  const Model &model;
  const Gpu &gpu;
  const Driver &driver;
  const std::vector<CudaKernel> &kernels;
  cuda::Stream stream = nullptr;
  cuda::LaunchQueue queue;
  std::unique_ptr<GpuMemory> memory_;
  /// An int32 per launch site, which a failing check of its kernel sets.
  Buffer statuses;
  std::vector<int32_t> failures;
};

class CudaProgram final : public Program {
public:
  explicit CudaProgram(const Model &model) : model(model) {}

  Status load(std::string_view code, Weights &weights) {
    if (Status error = gpu.open())
      return error;
    gpu.enter();
    const DeviceCode *loaded = nullptr;
    if (Status error = loadModule(code, loaded))
      return error;
    if (Status error = findKernels(*loaded))
      return error;
    return upload(weights);
  }

  void *const *weights() const override { return pointers.data(); }

  Status createDevice(const moec_session_options &options,
                      std::unique_ptr<Device> &device) const override {
    auto created = std::make_unique<CudaDevice>(model, gpu, kernels, options.graphs == 0);
    if (Status error = created->start())
      return error;
    device = std::move(created);
    return {};
  }

private:
  /// The first code that the GPU executes and the driver takes: a driver may
  /// refuse a cubin, such as one of a newer toolkit.
  Status loadModule(std::string_view part, const DeviceCode *&loaded) {
    std::string chips;
    Status refused;
    for (const DeviceCode &code : model.metadata().deviceCode) {
      if (code.kind == "ptx")
        chips += (chips.empty() ? "" : ", ") + code.chip;
      if (code.offset > part.size() || code.length > part.size() - code.offset)
        return failure(MOEC_DAMAGED, "the code for %s is not in the artifact", code.chip.c_str());
      if (!gpu.executes(code))
        continue;
      refused = module.load(std::string(part.substr(code.offset, code.length)).c_str());
      loaded = &code;
      if (!refused || code.kind == "ptx")
        return refused;
    }
    if (refused)
      return refused;
    return failure(MOEC_INCOMPATIBLE, "compiled for %s, but '%s' is sm_%d",
                   chips.empty() ? "no GPU" : chips.c_str(), gpu.name, gpu.capability);
  }

  Status findKernels(const DeviceCode &code) {
    const Metadata &metadata = model.metadata();
    for (size_t i = 0; i < metadata.kernels.size(); ++i) {
      const Geometry &geometry = code.geometry[i];
      CudaKernel &kernel = kernels.emplace_back(CudaKernel{nullptr, geometry});
      if (Status error = module.find(metadata.kernels[i].c_str(), geometry.shared, kernel.function))
        return error;
    }
    return {};
  }

  /// Copies the weights once, and gives back the host's memory for them.
  Status upload(Weights &weights) {
    const WeightsInfo &info = model.metadata().weights;
    if (info.slots.empty())
      return {};
    weightsBuffer = Buffer(memory);
    int64_t available = memory.available();
    if (static_cast<int64_t>(info.length) > available || !weightsBuffer.allocate(info.length))
      return failure(MOEC_OUT_OF_MEMORY,
                     "the weights need %llu bytes of the memory of '%s', of which %lld are free",
                     static_cast<unsigned long long>(info.length), gpu.name,
                     static_cast<long long>(available));
    auto *base = static_cast<char *>(weightsBuffer.data());
    for (size_t slot = 0; slot < info.slots.size(); ++slot) {
      pointers.push_back(base + info.slots[slot].offset);
      Copy copy{pointers.back(), weights.slots()[slot],
                static_cast<int64_t>(info.slots[slot].bytes)};
      if (Status error = memory.copy(Memory::Direction::upload, copy))
        return error;
    }
    Status error = gpu.driver->check(gpu.driver->streamSynchronize(nullptr), "copy the weights");
    weights.release();
    return error;
  }

  const Model &model;
  Gpu gpu;
  cuda::LoadedModule module{gpu};
  std::vector<CudaKernel> kernels;
  /// In the order of the default stream, which sessions' do not wait for.
  GpuMemory memory{gpu};
  Buffer weightsBuffer;
  std::vector<void *> pointers;
};

} // namespace

Status loadCudaProgram(const Model &model, std::string_view code, Weights &weights,
                       std::unique_ptr<Program> &program) {
  auto loaded = std::make_unique<CudaProgram>(model);
  if (Status error = loaded->load(code, weights))
    return error;
  program = std::move(loaded);
  return {};
}

} // namespace moec::runtime
