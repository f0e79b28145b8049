#pragma once
#include "async/TensorMapVersions.h"
#include "program/Program.h"
#include "tensor/Footprint.h"

namespace vgpu {

class DeviceMemory;
class Findings;
class Observer;
class Console;

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
  /// Coordinates of the element number `index`, x fastest.
  Dim3 at(uint64_t index) const {
    return {static_cast<uint32_t>(index % x), static_cast<uint32_t>(index / x % y),
            static_cast<uint32_t>(index / x / y)};
  }
};

/// A kernel with its arguments.
struct Launch {
  std::shared_ptr<const Program> program;
  std::shared_ptr<const ptx::Module> source; ///< which the program points into
  Dim3 grid, block;
  uint32_t dynamicSharedBytes = 0;
  std::vector<uint8_t> parameters;
  bool isCooperative = false;
  /// What cooperative groups keep of a grid: its address is in %envreg1 and %envreg2.
  std::shared_ptr<const uint64_t> workspace;
  uint64_t id = 0; ///< counts the launches of a process

  uint32_t sharedEnd() const { return program->sharedDynamicBase + dynamicSharedBytes; }
  uint32_t warpsPerBlock() const { return static_cast<uint32_t>((block.count() + 31) / 32); }
};

/// What executing needs of the device.
struct Machine {
  DeviceMemory &memory;
  Findings &findings;
  Console &console;
  Observer *observer = nullptr;
  /// Resident blocks take turns, so that their memory accesses interleave.
  bool interleavesBlocks = false;
  uint64_t runs = 0; ///< counts the grids that were executed
  tensor::Footprints footprints{};
  TensorMapVersions tensorMaps{};
  /// A bulk copy may not overwrite what was loaded before a fence.proxy.async.
  bool hasStrictProxies = false;
  /// Only counts matter: tensor instructions leave their results as they are.
  bool skipsTensorArithmetic = false;
  uint64_t mostBlocks = ~uint64_t{0}; ///< of a grid that are executed: its first
  uint32_t multiprocessors = 1;
  uint32_t threadsPerMultiprocessor = 2048;
  uint32_t blocksPerMultiprocessor = 32;
  uint32_t sharedPerMultiprocessor = 228 * 1024;
  uint32_t stackBytes = 512 * 1024; ///< local memory of a thread
  uint64_t heapBytes = 8 << 20;     ///< of malloc in kernels
};

} // namespace vgpu
