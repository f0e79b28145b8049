#pragma once
// The devices that the virtual GPU pretends to be.

#include "check/ObserverPair.h"
#include "check/RaceChecker.h"
#include "count/Counters.h"
#include "count/TensorResultChecker.h"
#include "driver/Engine.h"
#include "driver/VirtualMemory.h"
#include "driver/cuda_types.h"
#include "exec/Console.h"
#include "exec/Launch.h"
#include "memory/MappedMemory.h"

#include <optional>
#include <string_view>

namespace vgpu {

/// What a kind of chip has.
struct DeviceModel {
  std::string_view target; ///< "sm_90a": the PTX it accepts
  std::string_view name;
  int major, minor;
  int multiprocessors;
  uint64_t memoryBytes;
  int sharedPerBlockOptin, sharedPerMultiprocessor;
  int l2Bytes;
  uint64_t countedCacheBytes; ///< what counters assume of it: some is never ours
  int clockKhz, memoryClockKhz, memoryBusBits;
};

/// The model of VGPU_DEVICE, such as "sm_80"; sm_90a where it is not set.
const DeviceModel *findModel(std::string_view target);
std::optional<int> attributeOf(const DeviceModel &model, CUdevice_attribute attribute);
/// Whether a device can run PTX for `target`: older or equal; `a` targets only
/// on exactly that chip.
bool accepts(const DeviceModel &model, std::string_view target);

/// Streams and branches of graphs, and how far the host has seen each.
class Timelines {
public:
  size_t add() { return count++; }
  /// The host has seen that a task is done: what it submits now comes after.
  void settle(const TaskOrder &order);
  std::vector<uint64_t> settled() const;

private:
  std::atomic<size_t> count = 0;
  mutable std::mutex mutex;
  TaskOrder seen;
};

class Device {
public:
  Device(int ordinal, const DeviceModel &model, uint64_t memoryBytes, Findings &findings,
         Console &console);

  /// The host waits for a task, and knows that it did.
  void wait(const std::shared_ptr<Task> &task);
  /// Whether it is done, which the host then knows.
  bool hasSeen(const std::shared_ptr<Task> &task);

  /// From now on, kernels are counted.
  void count();
  /// And nothing else: tensor instructions compute nothing, and races are not
  /// looked for.
  void countOnly();

  const int ordinal;
  const DeviceModel &model;
  DeviceMemory memory;
  MappedMemory mapped;
  VirtualMemory virtualMemory;
  RaceChecker races;
  std::unique_ptr<Counters> counters; ///< if kernels are counted
  TensorResultChecker tensorResults;
  Machine machine;
  Timelines timelines;
  std::unique_ptr<ObserverPair> observers;
  Engine engine; ///< the last member: its thread stops before the rest goes
};

constexpr int kMaxThreadsPerBlock = 1024;
constexpr int kSharedPerBlock = 48 * 1024;
constexpr int kConstantBytes = 64 * 1024;
constexpr int kRegistersPerBlock = 65536;

} // namespace vgpu
