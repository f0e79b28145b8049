//===- CudaGpu.h - a GPU, and code that is loaded onto it ------------------===//
#pragma once

#include "runtime/Metadata.h"
#include "runtime/devices/CudaDriver.h"

namespace moec::runtime::cuda {

/// The first GPU, as this process's users of CUDA share it.
class Gpu {
public:
  Gpu() = default;
  Gpu(const Gpu &) = delete;
  Gpu &operator=(const Gpu &) = delete;
  ~Gpu();

  Status open();
  /// Makes it the calling thread's, if it is open.
  void enter() const {
    if (context)
      driver->contextSetCurrent(context);
  }

  /// Whether it is for this GPU: PTX for "sm_80" and later, or for just "sm_90a";
  /// a cubin for just its chip.
  bool executes(const DeviceCode &code) const;
  /// Zero where the driver does not know the attribute.
  int attribute(Attribute attribute) const;

  const Driver *driver = nullptr;
  char name[128] = "";
  int capability = 0; // 80 for sm_80

private:
  Ordinal ordinal = 0;
  Context context = nullptr;
};

/// Kernels on a GPU, which must outlive them.
class LoadedModule {
public:
  explicit LoadedModule(const Gpu &gpu) : gpu(gpu) {}
  LoadedModule(const LoadedModule &) = delete;
  LoadedModule &operator=(const LoadedModule &) = delete;
  ~LoadedModule();

  /// The image is PTX, whose text ends with a zero, or a cubin.
  Status load(const char *image);
  /// A kernel, ready to have `shared` bytes of dynamic shared memory.
  Status find(const char *name, int64_t shared, Function &function) const;

private:
  const Gpu &gpu;
  Module module = nullptr;
};

} // namespace moec::runtime::cuda
