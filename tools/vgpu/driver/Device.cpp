#include "driver/Device.h"

#include <cstdlib>
#include <utility>

namespace vgpu {
namespace {

constexpr DeviceModel kModels[] = {
    {"sm_80", "Virtual GPU sm_80", 8, 0, 108, uint64_t{80} << 30, 163 * 1024, 164 * 1024, 40 << 20,
     uint64_t{32} << 20, 1410000, 1215000, 5120},
    {"sm_90a", "Virtual GPU sm_90a", 9, 0, 132, uint64_t{80} << 30, 227 * 1024, 228 * 1024,
     50 << 20, uint64_t{40} << 20, 1980000, 2619000, 5120},
};

/// What all models have in common.
constexpr std::pair<CUdevice_attribute, int> kCommonAttributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kMaxThreadsPerBlock},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, kMaxThreadsPerBlock},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, kMaxThreadsPerBlock},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 0x7fffffff},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, kSharedPerBlock},
    {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, kConstantBytes},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
    {CU_DEVICE_ATTRIBUTE_MAX_PITCH, 0x7fffffff},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, kRegistersPerBlock},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, kRegistersPerBlock},
    {CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 3},
    {CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1},
    {CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, 1},
    {CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 1},
    {CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR, 1},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED, 1},
    // What the virtual GPU does not do.
    {CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT, 0},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 0},
    {CU_DEVICE_ATTRIBUTE_ECC_ENABLED, 0},
    {CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0},
    {CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 0},
    {CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, 0},
    {CU_DEVICE_ATTRIBUTE_TCC_DRIVER, 0},
    {CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0},
    {CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD, 0},
    {CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED, 0},
    {CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, 0},
    {CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 0},
    {CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE, 0},
    {CU_DEVICE_ATTRIBUTE_MAX_ACCESS_POLICY_WINDOW_SIZE, 0},
    {CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, 0},
    {CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED, 0},
};

/// "sm_90a" → 90 and true.
std::pair<int, bool> numberOf(std::string_view target) {
  size_t digits = target.find('_');
  if (digits == std::string_view::npos)
    return {0, false};
  std::string number(target.substr(digits + 1));
  char *end;
  long value = std::strtol(number.c_str(), &end, 10);
  return {static_cast<int>(value), *end == 'a'};
}

} // namespace

const DeviceModel *findModel(std::string_view target) {
  for (const DeviceModel &model : kModels)
    if (model.target == target || (model.target == "sm_90a" && target == "sm_90"))
      return &model;
  return nullptr;
}

bool accepts(const DeviceModel &model, std::string_view target) {
  auto [number, isExact] = numberOf(target);
  int own = 10 * model.major + model.minor;
  return isExact ? number == own : number <= own;
}

std::optional<int> attributeOf(const DeviceModel &model, CUdevice_attribute attribute) {
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
    return model.sharedPerBlockOptin;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
    return model.sharedPerMultiprocessor;
  case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
    return model.clockKhz;
  case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
    return model.memoryClockKhz;
  case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
    return model.memoryBusBits;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    return model.multiprocessors;
  case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
    return model.l2Bytes;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    return model.major;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    return model.minor;
  case CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED:
    return model.major >= 9;
  default:
    break;
  }
  for (auto [known, value] : kCommonAttributes)
    if (known == attribute)
      return value;
  return std::nullopt;
}

Device::Device(int ordinal, const DeviceModel &model, uint64_t memoryBytes, Findings &findings,
               Console &console)
    : ordinal(ordinal), model(model), memory(ordinal, memoryBytes), mapped(memory),
      virtualMemory(memory, mapped), races(findings, memory), machine{memory, findings, console} {
  machine.multiprocessors = static_cast<uint32_t>(model.multiprocessors);
  machine.observer = &races;
  machine.sharedPerMultiprocessor = static_cast<uint32_t>(model.sharedPerMultiprocessor);
}

void Device::wait(const std::shared_ptr<Task> &task) {
  engine.wait(task);
  if (task)
    timelines.settle(task->order);
}

void Device::count() {
  counters = std::make_unique<Counters>(model.countedCacheBytes);
  observers = std::make_unique<ObserverPair>(races, *counters);
  machine.observer = observers.get();
  machine.interleavesBlocks = true;
}

void Device::countOnly() {
  observers = std::make_unique<ObserverPair>(tensorResults, *counters);
  machine.observer = observers.get();
  machine.skipsTensorArithmetic = true;
}

bool Device::hasSeen(const std::shared_ptr<Task> &task) {
  if (!task)
    return true;
  if (!task->isDone())
    return false;
  timelines.settle(task->order);
  return true;
}

void Timelines::settle(const TaskOrder &order) {
  std::lock_guard lock(mutex);
  seen.follow(order);
}

std::vector<uint64_t> Timelines::settled() const {
  std::lock_guard lock(mutex);
  return seen.last;
}

} // namespace vgpu
