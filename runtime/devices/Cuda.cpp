//===- Cuda.cpp - kernels are PTX, run by CUDA's driver --------------------===//
#include "runtime/devices/CudaDriver.h"
#include "runtime/devices/Device.h"

#include <algorithm>
#include <cstring>

namespace moec::runtime {
namespace {

using cuda::Address;
using cuda::Driver;

Address addressOf(const void *data) { return reinterpret_cast<Address>(data); }

/// The first GPU, as this process's users of CUDA share it.
class Gpu {
public:
  Gpu() = default;
  Gpu(const Gpu &) = delete;
  Gpu &operator=(const Gpu &) = delete;
  ~Gpu() {
    if (context)
      driver->contextRelease(ordinal);
  }

  Status open() {
    if (Status error = Driver::find(driver))
      return error;
    int count = 0;
    if (Status error = driver->check(driver->deviceCount(&count), "count the GPUs"))
      return error;
    if (count == 0)
      return failure(MOEC_INCOMPATIBLE, "there is no GPU: CUDA's driver lists none");
    int major = 0, minor = 0;
    if (Status error = driver->check(driver->deviceGet(&ordinal, 0), "find the first GPU"))
      return error;
    driver->deviceName(name, sizeof name, ordinal);
    driver->deviceAttribute(&major, cuda::kComputeCapabilityMajor, ordinal);
    driver->deviceAttribute(&minor, cuda::kComputeCapabilityMinor, ordinal);
    capability = 10 * major + minor;
    return driver->check(driver->contextRetain(&context, ordinal), "create a CUDA context");
  }

  bool isOpen() const { return context; }
  /// Makes it the calling thread's.
  void enter() const { driver->contextSetCurrent(context); }

  /// Whether it executes code for "sm_80" or, if it is just that, for "sm_90a".
  bool executes(const std::string &chip) const {
    if (chip.rfind("sm_", 0) != 0)
      return false;
    char *end = nullptr;
    long wanted = std::strtol(chip.c_str() + 3, &end, 10);
    return *end == 'a' ? capability == wanted : capability >= wanted;
  }

  const Driver *driver = nullptr;
  cuda::Ordinal ordinal = 0;
  char name[128] = "";
  int capability = 0;

private:
  cuda::Context context = nullptr;
};

/// A GPU's memory, in the order of a stream.
class CudaMemory final : public Memory {
public:
  CudaMemory(const Gpu &gpu, cuda::Stream stream) : gpu(gpu), stream(stream) {}

  bool isHost() const override { return false; }

  void *allocate(size_t bytes, Pages) override {
    gpu.enter();
    Address address = 0;
    if (gpu.driver->memoryAllocate(&address, std::max<size_t>(bytes, 1)) != cuda::kSuccess)
      return nullptr;
    return reinterpret_cast<void *>(address);
  }

  void release(void *data, size_t) override {
    gpu.enter();
    gpu.driver->memoryFree(addressOf(data));
  }

  Status copy(Direction direction, const Copy &copy) override {
    if (copy.bytes == 0 || copy.runs == 0)
      return {};
    gpu.enter();
    bool isDownload = direction == Direction::download;
    const char *what = isDownload                       ? "copy from the GPU"
                       : direction == Direction::upload ? "copy to the GPU"
                                                        : "copy on the GPU";
    Status error = gpu.driver->check(
        copy.runs == 1 ? copyRun(direction, copy) : copyRuns(direction, copy), what);
    if (!error && isDownload)
      error = gpu.driver->check(gpu.driver->streamSynchronize(stream), what);
    return error;
  }

private:
  cuda::Result copyRun(Direction direction, const Copy &copy) {
    switch (direction) {
    case Direction::upload:
      return gpu.driver->copyToDevice(addressOf(copy.to), copy.from, copy.bytes, stream);
    case Direction::download:
      return gpu.driver->copyToHost(copy.to, addressOf(copy.from), copy.bytes, stream);
    case Direction::inside:
      return gpu.driver->copyInside(addressOf(copy.to), addressOf(copy.from), copy.bytes, stream);
    }
    __builtin_unreachable();
  }

  cuda::Result copyRuns(Direction direction, const Copy &copy) {
    cuda::Copy2D runs;
    runs.fromType = direction == Direction::upload ? cuda::kHostMemory : cuda::kDeviceMemory;
    runs.toType = direction == Direction::download ? cuda::kHostMemory : cuda::kDeviceMemory;
    runs.fromHost = copy.from, runs.fromDevice = addressOf(copy.from);
    runs.toHost = copy.to, runs.toDevice = addressOf(copy.to);
    runs.fromPitch = copy.fromStride, runs.toPitch = copy.toStride;
    runs.width = copy.bytes, runs.height = copy.runs;
    return gpu.driver->copyRuns(&runs, stream);
  }

  const Gpu &gpu;
  cuda::Stream stream;
};

/// A kernel and how its indices are cut into blocks.
struct CudaKernel {
  cuda::Function function;
  Geometry geometry;
};

class CudaDevice final : public Device {
public:
  CudaDevice(const Model &model, const Gpu &gpu, const std::vector<CudaKernel> &kernels)
      : model(model), gpu(gpu), driver(*gpu.driver), kernels(kernels),
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
    memory_ = std::make_unique<CudaMemory>(gpu, stream);
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
    gpu.enter();
    launch.arguments[0] = addressOf(statuses.data()) + launch.site * sizeof(int32_t);
    constexpr int64_t kMostBlocks = INT32_MAX;
    int64_t blocks = (launch.grid - 1) / kernel.geometry.indices + 1;
    if (blocks > kMostBlocks)
      return failure(MOEC_EXECUTION_FAILED, "node '%s': it needs %lld blocks, but a GPU has %lld",
                     site.name.c_str(), static_cast<long long>(blocks),
                     static_cast<long long>(kMostBlocks));
    int64_t begin = trace.active() ? traceClock() : 0, grid = launch.grid;
    void *parameters[] = {launch.arguments, &grid};
    cuda::Result result =
        driver.launchKernel(kernel.function, blocks, 1, 1, kernel.geometry.threads, 1, 1,
                            kernel.geometry.shared, stream, parameters, nullptr);
    if (result != cuda::kSuccess)
      return driver.check(result, ("launch a kernel of node '" + site.name + "'").c_str());
    return trace.active() ? record(launch, begin, trace) : Status();
  }

  Status finish() override {
    gpu.enter();
    if (Status error = driver.check(driver.streamSynchronize(stream), "execute the kernels"))
      return error;
    if (failures.empty())
      return {};
    if (Status error = memory_->copy(Memory::Direction::download,
                                     {failures.data(), statuses.data(), statusBytes()}))
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
  Status record(const Launch &launch, int64_t begin, Trace &trace) {
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
  std::unique_ptr<CudaMemory> memory_;
  /// An int32 per launch site, which a failing check of its kernel sets.
  Buffer statuses;
  std::vector<int32_t> failures;
};

class CudaProgram final : public Program {
public:
  explicit CudaProgram(const Model &model) : model(model) {}

  ~CudaProgram() override {
    if (!gpu.isOpen())
      return;
    gpu.enter();
    weightsBuffer.release();
    if (module)
      gpu.driver->moduleUnload(module);
  }

  Status load(std::string_view code, Weights &weights) {
    if (Status error = gpu.open())
      return error;
    gpu.enter();
    if (Status error = loadModule(code))
      return error;
    if (Status error = findKernels())
      return error;
    return upload(weights);
  }

  void *const *weights() const override { return pointers.data(); }

  Status createDevice(const moec_session_options &,
                      std::unique_ptr<Device> &device) const override {
    auto created = std::make_unique<CudaDevice>(model, gpu, kernels);
    if (Status error = created->start())
      return error;
    device = std::move(created);
    return {};
  }

private:
  Status loadModule(std::string_view part) {
    std::string chips;
    for (const DeviceCode &code : model.metadata().deviceCode) {
      chips += (chips.empty() ? "" : ", ") + code.chip;
      if (code.offset > part.size() || code.length > part.size() - code.offset)
        return failure(MOEC_DAMAGED, "the code for %s is not in the artifact", code.chip.c_str());
      if (gpu.executes(code.chip))
        return loadPtx(std::string(part.substr(code.offset, code.length)));
    }
    return failure(MOEC_INCOMPATIBLE, "compiled for %s, but '%s' is sm_%d",
                   chips.empty() ? "no GPU" : chips.c_str(), gpu.name, gpu.capability);
  }

  Status loadPtx(const std::string &ptx) {
    char log[4096] = "";
    cuda::Attribute names[] = {cuda::kJitErrorLog, cuda::kJitErrorLogBytes};
    void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
    cuda::Result result = gpu.driver->moduleLoad(&module, ptx.c_str(), 2, names, values);
    if (result == cuda::kSuccess)
      return {};
    log[std::strcspn(log, "\n")] = '\0';
    std::string what = std::string("load the kernels") + (*log ? ": " : "") + log;
    return gpu.driver->check(result, what.c_str());
  }

  Status findKernels() {
    const Metadata &metadata = model.metadata();
    if (metadata.geometry.size() != metadata.kernels.size())
      return failure(MOEC_DAMAGED, "metadata: 'geometry' must be as long as 'kernels'");
    constexpr int64_t kSharedByDefault = 48 << 10;
    for (size_t i = 0; i < metadata.kernels.size(); ++i) {
      const Geometry &geometry = metadata.geometry[i];
      const char *name = metadata.kernels[i].c_str();
      CudaKernel &kernel = kernels.emplace_back(CudaKernel{nullptr, geometry});
      std::string what = std::string("find the kernel ") + name;
      if (Status error = gpu.driver->check(
              gpu.driver->moduleFunction(&kernel.function, module, name), what.c_str()))
        return error;
      if (geometry.shared <= kSharedByDefault)
        continue;
      if (Status error = gpu.driver->check(
              gpu.driver->functionSetAttribute(kernel.function, cuda::kMaxDynamicSharedMemory,
                                               static_cast<int>(geometry.shared)),
              "reserve a kernel's shared memory"))
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
    if (!weightsBuffer.allocate(info.length))
      return failure(MOEC_OUT_OF_MEMORY, "no memory on '%s' for the %llu bytes of weights",
                     gpu.name, static_cast<unsigned long long>(info.length));
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
  cuda::Module module = nullptr;
  std::vector<CudaKernel> kernels;
  /// In the order of the default stream, which sessions' do not wait for.
  CudaMemory memory{gpu, nullptr};
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
