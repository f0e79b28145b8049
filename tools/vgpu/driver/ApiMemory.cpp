// Memory: allocation and attributes. Copies are in ApiCopy.cpp.
#include "driver/Api.h"
#include "driver/Submit.h"

using namespace vgpu;

namespace {

constexpr size_t kPitchAlignment = 512;

CUresult allocate(Context &context, CUdeviceptr *address, size_t bytes) {
  if (!address || bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t begin = context.device.memory.allocate(bytes, MemoryKind::Device);
  if (!begin)
    return CUDA_ERROR_OUT_OF_MEMORY;
  context.allocations.insert(begin);
  *address = begin;
  return CUDA_SUCCESS;
}

CUresult allocateHost(Context &context, void **address, size_t bytes) {
  if (!address || bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t begin = context.device.memory.allocate(bytes, MemoryKind::PinnedHost, 4096);
  if (!begin)
    return CUDA_ERROR_OUT_OF_MEMORY;
  // The host writes there without telling anybody.
  context.device.memory.markInitialized(begin, bytes);
  context.hostAllocations.insert(begin);
  *address = reinterpret_cast<void *>(begin);
  return CUDA_SUCCESS;
}

bool isHost(const Allocation &allocation) {
  return allocation.kind == MemoryKind::PinnedHost || allocation.kind == MemoryKind::RegisteredHost;
}

CUresult pointerAttribute(const Context &context, void *value, CUpointer_attribute attribute,
                          const Allocation &allocation, CUdeviceptr address) {
  bool onHost = isHost(allocation);
  switch (attribute) {
  case CU_POINTER_ATTRIBUTE_CONTEXT:
    *static_cast<const void **>(value) = &context;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    *static_cast<unsigned *>(value) = onHost ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    *static_cast<CUdeviceptr *>(value) = address;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    if (!onHost)
      return CUDA_ERROR_INVALID_VALUE;
    *static_cast<CUdeviceptr *>(value) = address;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    *static_cast<unsigned long long *>(value) = allocation.begin;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    *static_cast<unsigned *>(value) = 0;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    *static_cast<int *>(value) = context.device.ordinal;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    *static_cast<CUdeviceptr *>(value) = allocation.begin;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    *static_cast<size_t *>(value) = allocation.end - allocation.begin;
    return CUDA_SUCCESS;
  case CU_POINTER_ATTRIBUTE_MAPPED:
    *static_cast<unsigned *>(value) = 1;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

} // namespace

VGPU_API CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!free || !total)
      return CUDA_ERROR_INVALID_VALUE;
    *total = context.device.memory.capacity();
    *free = *total - context.device.memory.used();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  return inContext([&](Driver &, Context &context) { return allocate(context, address, bytes); });
}

VGPU_API CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width,
                                     size_t height, unsigned elementBytes) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!pitch || !width || !height ||
        (elementBytes != 4 && elementBytes != 8 && elementBytes != 16))
      return CUDA_ERROR_INVALID_VALUE;
    *pitch = (width + kPitchAlignment - 1) / kPitchAlignment * kPitchAlignment;
    return allocate(context, address, *pitch * height);
  });
}

VGPU_API CUresult cuMemFree_v2(CUdeviceptr address) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    if (address == 0)
      return CUDA_SUCCESS;
    if (!context.allocations.erase(address)) {
      driver.report(FindingKind::ApiMisuse, "cuMemFree of what is no allocation");
      return CUDA_ERROR_INVALID_VALUE;
    }
    context.synchronize(); // as the driver does
    context.device.memory.release(address);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr address) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    std::optional<Allocation> found = context.device.memory.find(address);
    if (!found)
      return CUDA_ERROR_NOT_FOUND;
    if (base)
      *base = found->begin;
    if (bytes)
      *bytes = found->end - found->begin;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemAllocHost_v2(void **address, size_t bytes) {
  return inContext(
      [&](Driver &, Context &context) { return allocateHost(context, address, bytes); });
}

VGPU_API CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
  if (flags > 7)
    return CUDA_ERROR_INVALID_VALUE;
  return cuMemAllocHost_v2(address, bytes);
}

VGPU_API CUresult cuMemFreeHost(void *address) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    auto begin = reinterpret_cast<uint64_t>(address);
    std::optional<Allocation> found = context.device.memory.find(begin);
    if (!found || found->kind != MemoryKind::PinnedHost || !context.hostAllocations.erase(begin))
      return CUDA_ERROR_INVALID_VALUE;
    context.synchronize();
    context.device.memory.release(begin);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *host, unsigned flags) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    auto address = reinterpret_cast<uint64_t>(host);
    std::optional<Allocation> found = context.device.memory.find(address);
    if (!device || flags || !found || !isHost(*found))
      return CUDA_ERROR_INVALID_VALUE;
    *device = address;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemHostGetFlags(unsigned *flags, void *host) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    std::optional<Allocation> found = context.device.memory.find(reinterpret_cast<uint64_t>(host));
    if (!flags || !found || found->kind != MemoryKind::PinnedHost)
      return CUDA_ERROR_INVALID_VALUE;
    *flags = 2; // mapped, as all is under unified addressing
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemHostRegister_v2(void *address, size_t bytes, unsigned) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!address || !bytes)
      return CUDA_ERROR_INVALID_VALUE;
    auto begin = reinterpret_cast<uint64_t>(address);
    if (!context.device.memory.registerHost(begin, bytes))
      return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    context.hostAllocations.insert(begin);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemHostUnregister(void *address) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    auto begin = reinterpret_cast<uint64_t>(address);
    context.synchronize();
    if (!context.device.memory.unregisterHost(begin))
      return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    context.hostAllocations.erase(begin);
    return CUDA_SUCCESS;
  });
}

// --- Pools: the address is known at once, the memory goes when the stream comes there.

VGPU_API CUresult cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream handle) {
  return inStream(handle, [&](Driver &, Context &context, Stream &stream) -> CUresult {
    if (stream.capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return allocate(context, address, bytes);
  });
}

VGPU_API CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool,
                                          CUstream stream) {
  return cuMemAllocAsync(address, bytes, stream);
}

VGPU_API CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
  return inStream(handle, [&](Driver &driver, Context &context, Stream &stream) -> CUresult {
    if (stream.capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (!context.allocations.erase(address)) {
      driver.report(FindingKind::ApiMisuse, "cuMemFreeAsync of what is no allocation");
      return CUDA_ERROR_INVALID_VALUE;
    }
    DeviceMemory &memory = context.device.memory;
    return submitAction(driver, context, stream, CU_GRAPH_NODE_TYPE_EMPTY,
                        [&memory, address] { memory.release(address); });
  });
}

VGPU_API CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) {
  return guarded([&](Driver &driver) -> CUresult {
    Device *found = driver.device(device);
    if (!pool || !found)
      return pool ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_VALUE;
    *pool = reinterpret_cast<CUmemoryPool>(found);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemPoolTrimTo(CUmemoryPool, size_t) {
  return guarded([](Driver &) { return CUDA_SUCCESS; }); // freed memory is never kept
}

VGPU_API CUresult cuPointerGetAttribute(void *value, CUpointer_attribute attribute,
                                        CUdeviceptr address) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    std::optional<Allocation> found = context.device.memory.find(address);
    if (!value || !found)
      return CUDA_ERROR_INVALID_VALUE;
    return pointerAttribute(context, value, attribute, *found, address);
  });
}

/// Unlike the function for one attribute, this gives zeros for other pointers.
VGPU_API CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes,
                                         void **values, CUdeviceptr address) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!attributes || !values)
      return CUDA_ERROR_INVALID_VALUE;
    std::optional<Allocation> found = context.device.memory.find(address);
    for (unsigned index = 0; index < count; ++index) {
      if (!found) {
        *static_cast<unsigned *>(values[index]) = 0;
        continue;
      }
      CUresult result =
          pointerAttribute(context, values[index], attributes[index], *found, address);
      if (result != CUDA_SUCCESS && attributes[index] != CU_POINTER_ATTRIBUTE_HOST_POINTER)
        return result;
    }
    return CUDA_SUCCESS;
  });
}
