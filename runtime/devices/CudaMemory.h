//===- CudaMemory.h - a GPU's memory ---------------------------------------===//
#pragma once

#include "runtime/Memory.h"
#include "runtime/devices/CudaLaunches.h"

namespace moec::runtime::cuda {

inline Address addressOf(const void *data) { return reinterpret_cast<Address>(data); }

/// A GPU's memory, in the order of a stream and of the launches that wait for it.
class GpuMemory final : public Memory {
public:
  explicit GpuMemory(const Gpu &gpu, Stream stream = nullptr, LaunchQueue *launches = nullptr)
      : gpu(gpu), stream(stream), launches(launches) {}

  bool isHost() const override { return false; }
  int64_t available() const override;
  void *allocate(size_t bytes, Pages pages) override;
  void release(void *data, size_t bytes) override;
  Status copy(Direction direction, const Copy &copy) override;

private:
  Result copyRun(Direction direction, const Copy &copy);
  Result copyRuns(Direction direction, const Copy &copy);

  const Gpu &gpu;
  Stream stream;
  LaunchQueue *launches;
};

} // namespace moec::runtime::cuda
