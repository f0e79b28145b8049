#include "runtime/devices/CudaMemory.h"

#include <algorithm>

namespace moec::runtime::cuda {

int64_t GpuMemory::available() const {
  gpu.enter();
  size_t free = 0, total = 0;
  if (gpu.driver->memoryInfo(&free, &total) != kSuccess)
    return Memory::available();
  return static_cast<int64_t>(free);
}

void *GpuMemory::allocate(size_t bytes, Pages) {
  gpu.enter();
  Address address = 0;
  if (gpu.driver->memoryAllocate(&address, std::max<size_t>(bytes, 1)) != kSuccess)
    return nullptr;
  return reinterpret_cast<void *>(address);
}

void GpuMemory::release(void *data, size_t) {
  // Recorded launches may use it; an error of theirs shows when they are waited for.
  if (launches)
    (void)launches->flush();
  gpu.enter();
  gpu.driver->memoryFree(addressOf(data));
}

Status GpuMemory::copy(Direction direction, const Copy &copy) {
  if (copy.bytes == 0 || copy.runs == 0)
    return {};
  if (launches)
    if (Status error = launches->flush())
      return error;
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

Result GpuMemory::copyRun(Direction direction, const Copy &copy) {
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

Result GpuMemory::copyRuns(Direction direction, const Copy &copy) {
  Copy2D runs;
  runs.fromType = direction == Direction::upload ? kHostMemory : kDeviceMemory;
  runs.toType = direction == Direction::download ? kHostMemory : kDeviceMemory;
  runs.fromHost = copy.from, runs.fromDevice = addressOf(copy.from);
  runs.toHost = copy.to, runs.toDevice = addressOf(copy.to);
  runs.fromPitch = copy.fromStride, runs.toPitch = copy.toStride;
  runs.width = copy.bytes, runs.height = copy.runs;
  return gpu.driver->copyRuns(&runs, stream);
}

} // namespace moec::runtime::cuda
