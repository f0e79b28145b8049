#include "driver/Driver.h"

#include "driver/Environment.h"
#include "driver/Graph.h"
#include "driver/Modules.h"
#include "driver/MutationRun.h"
#include "driver/Tasks.h"
#include "tensor/Numerics.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

namespace vgpu {
namespace {

/// The file appears whole or not at all.
void writeText(const std::string &path, const std::string &text) {
  std::string partial = path + ".partial";
  std::ofstream file(partial);
  file << text;
  file.close();
  if (!file || std::rename(partial.c_str(), path.c_str()) != 0)
    std::fprintf(stderr, "vgpu: cannot write %s\n", path.c_str());
}

} // namespace

Stream::Stream(Context &context) : context(context) {
  order.timeline = context.device.timelines.add();
}

Context::Context(Device &device) : device(device), defaultStream(*this) {}
Context::~Context() = default;
Driver::Driver() = default;
Driver::~Driver() = default;

Driver &Driver::get() {
  static Driver *driver = [] {
    std::atexit([] { get().finish(); });
    return new Driver;
  }();
  return *driver;
}

CUresult Driver::initialize() {
  if (isInitialized())
    return CUDA_SUCCESS;
  std::string target = environment("VGPU_DEVICE", "sm_90a");
  const DeviceModel *model = findModel(target);
  if (!model) {
    explain("VGPU_DEVICE is " + target + ", but the virtual GPU can be sm_80 or sm_90a");
    return CUDA_ERROR_NO_DEVICE;
  }
  seed = environmentInteger("VGPU_SEED", 0);
  tensor::setNumerics({environmentIs("VGPU_NUMERICS", "adversarial"),
                       !environment("VGPU_ASSUME_SUMS_ALIKE").empty(), seed});
  timeoutSeconds = environmentNumber("VGPU_TIMEOUT", 0);
  errorExit = static_cast<int>(environmentInteger("VGPU_ERROR_EXIT", 0));
  if (std::string path = environment("VGPU_MUTATE"); !path.empty())
    mutations = std::make_unique<MutationRun>(
        path, environment("VGPU_MUTATE_KERNELS", "*"),
        std::max<uint64_t>(environmentInteger("VGPU_MUTATE_EVERY", 1), 1));
  uint64_t count = environmentInteger("VGPU_DEVICE_COUNT", 1);
  uint64_t bytes = environmentInteger("VGPU_MEMORY", model->memoryBytes);
  std::vector<std::unique_ptr<Device>> found;
  for (uint64_t ordinal = 0; ordinal < count; ++ordinal) {
    found.push_back(
        std::make_unique<Device>(static_cast<int>(ordinal), *model, bytes, findings, console));
    Device &device = *found.back();
    device.machine.hasStrictProxies = environmentIs("VGPU_PROXIES", "strict");
    if (!environment("VGPU_COUNTERS").empty())
      beginCounting(device);
  }
  devices = std::move(found);
  return devices.empty() ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}

void Driver::beginCounting(Device &device) {
  device.count();
  if (environment("VGPU_COUNT_ONLY").empty())
    return;
  device.countOnly();
  if (!environment("VGPU_ASSUME_INITIALIZED").empty())
    device.memory.assumeInitialized();
  uint64_t &most = device.machine.mostBlocks;
  most = std::max<uint64_t>(environmentInteger("VGPU_COUNT_BLOCKS", most), 1);
}

Device *Driver::device(CUdevice ordinal) const {
  return ordinal >= 0 && ordinal < static_cast<int>(devices.size()) ? devices[ordinal].get()
                                                                    : nullptr;
}

Context *Driver::primary(Device &device) {
  Context *&primary = primaries[device.ordinal];
  if (!primary) {
    CUcontext handle;
    auto created = std::make_unique<Context>(device);
    primary = created.get();
    contexts.add(std::move(created), &handle);
  }
  return primary;
}

void Driver::release(Context &context) {
  DeviceMemory &memory = context.device.memory;
  for (const auto *addresses : {&context.allocations, &context.hostAllocations})
    for (uint64_t address : *addresses)
      if (!memory.release(address))
        memory.unregisterHost(address);
  while (!context.imports.empty())
    context.closeImport(context.imports.begin()->first);
  while (context.modules.size())
    unloadModule(*context.modules.begin()->second);
  std::erase_if(primaries, [&](const auto &entry) { return entry.second == &context; });
  contexts.remove(&context);
}

std::vector<Context *> &Driver::currentStack() {
  thread_local std::vector<Context *> stack;
  return stack;
}

void Driver::report(FindingKind kind, const std::string &message) {
  Finding finding;
  finding.kind = kind;
  finding.message = message;
  findings.add(std::move(finding));
}

void Driver::explain(const std::string &message) {
  std::fprintf(stderr, "vgpu: %s\n", message.c_str());
}

CountReport Driver::counts(bool forgets) {
  CountReport all{{}, forgets ? std::exchange(graphLaunches, 0) : graphLaunches};
  for (const auto &device : devices)
    if (device->counters)
      for (LaunchCounts &counts : device->counters->ended(forgets))
        all.launches.push_back(std::move(counts));
  return all;
}

void Driver::finishCounters() {
  std::string where = environment("VGPU_COUNTERS");
  if (where.empty())
    return;
  CountReport report = counts(true);
  if (where == "-")
    std::fputs(textOf(report).c_str(), stderr);
  else
    writeText(where, jsonOf(report));
}

void Driver::finish() {
  for (const auto &device : devices)
    for (const auto &[handle, context] : contexts)
      if (&context->device == device.get())
        context->synchronize();
  console.flush();
  for (const auto &[handle, context] : contexts) {
    uint64_t bytes = 0;
    for (uint64_t address : context->allocations)
      if (std::optional<Allocation> found = context->device.memory.find(address))
        bytes += found->end - found->begin;
    if (bytes)
      report(FindingKind::Leak, std::to_string(context->allocations.size()) + " allocations of " +
                                    std::to_string(bytes) + " bytes were never freed");
    if (size_t imports = context->imports.size())
      report(FindingKind::Leak,
             std::to_string(imports) + " allocations of other processes were never closed");
    if (size_t streams = context->streams.size())
      report(FindingKind::Leak, std::to_string(streams) + " streams were never destroyed");
    if (size_t modules = context->modules.size())
      report(FindingKind::Leak, std::to_string(modules) + " modules were never unloaded");
  }
  if (size_t left = physicalMemory.size())
    report(FindingKind::Leak, std::to_string(left) + " pieces of physical memory were never "
                                                     "released, or are mapped still");
  if (size_t left = graphs.size() + graphExecs.size())
    report(FindingKind::Leak, std::to_string(left) + " graphs were never destroyed");
  std::vector<Finding> all = findings.all();
  for (const Finding &finding : all)
    std::fprintf(stderr, "vgpu: %s\n", Findings::text(finding).c_str());
  finishCounters();
  if (mutations)
    writeText(mutations->path, mutations->report());
  std::string report = environment("VGPU_REPORT");
  if (!report.empty())
    writeText(report, "{\"findings\": " + Findings::json(all) + "}\n");
  if (errorExit && findings.hasErrors()) {
    std::fflush(nullptr);
    std::_Exit(errorExit);
  }
}

TaskOrder Context::orderOf(const Stream &stream, const Task &task) const {
  TaskOrder order = stream.order;
  order.settled = device.timelines.settled();
  order.join(order.settled);
  for (const auto &dependency : task.dependencies)
    order.follow(dependency->order);
  return order;
}

void Context::submit(Stream &stream, std::shared_ptr<Task> task) {
  task->order = orderOf(stream, *task);
  auto after = [&](const Stream &other) {
    task->order.follow(other.order);
    if (other.last && !other.last->isDone())
      task->dependencies.push_back(other.last);
  };
  after(stream);
  if (&stream == &defaultStream) {
    for (const auto &[handle, other] : streams)
      if (other->isBlocking)
        after(*other);
  } else if (stream.isBlocking) {
    after(defaultStream);
  }
  ++task->order.sequence;
  stream.order = task->order;
  stream.last = task;
  device.engine.submit(std::move(task));
}

std::vector<std::shared_ptr<Task>> Context::lastTasks() const {
  std::vector<std::shared_ptr<Task>> tasks{defaultStream.last};
  for (const auto &[handle, stream] : streams)
    tasks.push_back(stream->last);
  return tasks;
}

void Context::closeImport(uint64_t address) {
  const ImportedMemory &import = imports.at(address);
  device.memory.forbidMapped(address);
  device.memory.clearInitialized(import.pages, import.mappedBytes);
  device.mapped.unmap(import.pages);
  device.mapped.unreserve(import.pages);
  imports.erase(address);
}

CUresult Context::synchronize() {
  for (const auto &task : lastTasks())
    device.wait(task);
  return fault;
}

} // namespace vgpu
