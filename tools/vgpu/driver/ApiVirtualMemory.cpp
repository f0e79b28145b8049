// Virtual memory management, and memory that processes share by descriptors of files.
#include "driver/Api.h"

#include <cstring>
#include <fcntl.h>

using namespace vgpu;

namespace {

/// The name of a file says whose memory it is.
std::string nameFor(const Device &device) {
  return "vgpu memory of device " + std::to_string(device.ordinal);
}

/// The device that a reservation is for, since devices have addresses of their own: that
/// of the current context.
Device &reservingDevice(Driver &driver) {
  std::vector<Context *> &stack = Driver::currentStack();
  bool hasContext = !stack.empty() && driver.contexts.find(stack.back());
  return hasContext ? stack.back()->device : *driver.devices.front();
}

Device *deviceAt(Driver &driver, CUdeviceptr address) {
  for (const auto &device : driver.devices)
    if (device->memory.inArena(address))
      return device.get();
  return nullptr;
}

template <class Body> CUresult atAddress(CUdeviceptr address, Body body) {
  return guarded([&](Driver &driver) -> CUresult {
    Device *device = deviceAt(driver, address);
    return device ? body(driver, *device) : CUDA_ERROR_INVALID_VALUE;
  });
}

template <class Body> CUresult withPhysical(CUmemGenericAllocationHandle handle, Body body) {
  return guarded([&](Driver &driver) -> CUresult {
    PhysicalMemory *memory = driver.physicalMemory.find(handle);
    bool isValid = memory && memory->handles;
    return isValid ? body(driver, *memory) : CUDA_ERROR_INVALID_VALUE;
  });
}

void removeIfUnused(Driver &driver, PhysicalMemory &memory) {
  if (memory.handles || memory.mappings)
    return;
  memory.device.memory.give(memory.file->bytes());
  driver.physicalMemory.remove(&memory);
}

CUresult checkProperties(Driver &driver, const CUmemAllocationProp *properties, Device *&device) {
  if (!properties || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED)
    return CUDA_ERROR_INVALID_VALUE;
  if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
      (properties->requestedHandleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
    return CUDA_ERROR_NOT_SUPPORTED;
  device = driver.device(properties->location.id);
  return device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/// A new handle for pages, which count as memory of the device.
CUresult add(Driver &driver, PhysicalMemory memory, CUmemGenericAllocationHandle *handle) {
  if (!memory.device.memory.take(memory.file->bytes()))
    return CUDA_ERROR_OUT_OF_MEMORY;
  driver.physicalMemory.add(std::make_unique<PhysicalMemory>(std::move(memory)), handle);
  return CUDA_SUCCESS;
}

} // namespace

VGPU_API CUresult cuMemGetAllocationGranularity(size_t *granularity,
                                                const CUmemAllocationProp *properties,
                                                CUmemAllocationGranularity_flags option) {
  return guarded([&](Driver &driver) -> CUresult {
    Device *device = nullptr;
    if (!granularity || option > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED)
      return CUDA_ERROR_INVALID_VALUE;
    if (CUresult result = checkProperties(driver, properties, device))
      return result;
    *granularity = VirtualMemory::kGranularity;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemAddressReserve(CUdeviceptr *address, size_t bytes, size_t alignment,
                                      CUdeviceptr wanted, unsigned long long flags) {
  return guarded([&](Driver &driver) -> CUresult {
    if (!address || flags)
      return CUDA_ERROR_INVALID_VALUE;
    return reservingDevice(driver).virtualMemory.reserve(*address, bytes, alignment, wanted);
  });
}

VGPU_API CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes) {
  return atAddress(
      address, [&](Driver &, Device &device) { return device.virtualMemory.free(address, bytes); });
}

VGPU_API CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                              const CUmemAllocationProp *properties, unsigned long long flags) {
  return guarded([&](Driver &driver) -> CUresult {
    Device *device = nullptr;
    if (!handle || flags || bytes == 0 || bytes % VirtualMemory::kGranularity)
      return CUDA_ERROR_INVALID_VALUE;
    if (CUresult result = checkProperties(driver, properties, device))
      return result;
    if (bytes > device->memory.capacity())
      return CUDA_ERROR_OUT_OF_MEMORY;
    bool isShareable = properties->requestedHandleTypes != CU_MEM_HANDLE_TYPE_NONE;
    auto file = std::make_shared<PageFile>(nameFor(*device), bytes);
    return add(driver, {*device, std::move(file), isShareable}, handle);
  });
}

VGPU_API CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  return withPhysical(handle, [](Driver &driver, PhysicalMemory &memory) -> CUresult {
    --memory.handles;
    removeIfUnused(driver, memory);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset,
                           CUmemGenericAllocationHandle handle, unsigned long long flags) {
  return withPhysical(handle, [&](Driver &driver, PhysicalMemory &memory) -> CUresult {
    Device *device = deviceAt(driver, address);
    if (!device || offset || flags)
      return CUDA_ERROR_INVALID_VALUE;
    if (device != &memory.device) {
      driver.explain("memory of device " + std::to_string(memory.device.ordinal) +
                     " cannot be mapped at an address of device " +
                     std::to_string(device->ordinal) + ": peer access is not supported");
      return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    }
    return device->virtualMemory.map(address, bytes, memory);
  });
}

VGPU_API CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
  return atAddress(address, [&](Driver &driver, Device &device) -> CUresult {
    std::vector<PhysicalMemory *> unused;
    CUresult result = device.virtualMemory.unmap(address, bytes, unused);
    for (PhysicalMemory *memory : unused)
      if (driver.physicalMemory.find(memory)) // it may have been mapped more than once
        removeIfUnused(driver, *memory);
    return result;
  });
}

VGPU_API CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes,
                                 const CUmemAccessDesc *descriptions, size_t count) {
  return atAddress(address, [&](Driver &driver, Device &device) -> CUresult {
    if (!descriptions || !count)
      return CUDA_ERROR_INVALID_VALUE;
    for (size_t index = 0; index < count; ++index) {
      const CUmemAccessDesc &wanted = descriptions[index];
      if (wanted.location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
      if (!driver.device(wanted.location.id))
        return CUDA_ERROR_INVALID_DEVICE;
      if (wanted.flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
          wanted.flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
          wanted.flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
        return CUDA_ERROR_INVALID_VALUE;
      if (wanted.location.id == device.ordinal) {
        if (CUresult result = device.virtualMemory.setAccess(address, bytes, wanted.flags))
          return result;
      } else if (wanted.flags != CU_MEM_ACCESS_FLAGS_PROT_NONE) {
        driver.explain("peer access is not supported");
        return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
      }
    }
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location,
                                 CUdeviceptr address) {
  return atAddress(address, [&](Driver &driver, Device &device) -> CUresult {
    const VirtualMemory::Mapping *mapping = device.virtualMemory.find(address);
    if (!flags || !location || !mapping || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
      return CUDA_ERROR_INVALID_VALUE;
    if (!driver.device(location->id))
      return CUDA_ERROR_INVALID_DEVICE;
    bool isOwn = location->id == device.ordinal;
    *flags = isOwn ? mapping->access : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties,
                                                         CUmemGenericAllocationHandle handle) {
  return withPhysical(handle, [&](Driver &, PhysicalMemory &memory) -> CUresult {
    if (!properties)
      return CUDA_ERROR_INVALID_VALUE;
    std::memset(properties, 0, sizeof *properties);
    properties->type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties->requestedHandleTypes =
        memory.isShareable ? CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR : CU_MEM_HANDLE_TYPE_NONE;
    properties->location = {CU_MEM_LOCATION_TYPE_DEVICE, memory.device.ordinal};
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
  auto at = reinterpret_cast<CUdeviceptr>(address);
  return atAddress(at, [&](Driver &, Device &device) -> CUresult {
    const VirtualMemory::Mapping *mapping = device.virtualMemory.find(at);
    if (!handle || !mapping)
      return CUDA_ERROR_INVALID_VALUE;
    ++mapping->memory->handles;
    *handle = reinterpret_cast<CUmemGenericAllocationHandle>(mapping->memory);
    return CUDA_SUCCESS;
  });
}

/// The caller gets a descriptor of its own.
VGPU_API CUresult cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle,
                                               CUmemAllocationHandleType type,
                                               unsigned long long flags) {
  return withPhysical(handle, [&](Driver &, PhysicalMemory &memory) -> CUresult {
    if (!shareable || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
        !memory.isShareable)
      return CUDA_ERROR_INVALID_VALUE;
    int descriptor = fcntl(memory.file->descriptor(), F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0)
      return CUDA_ERROR_OPERATING_SYSTEM;
    memory.isMapped = true; // elsewhere, from now on
    memory.device.virtualMemory.noteSharing(memory);
    *static_cast<int *>(shareable) = descriptor;
    return CUDA_SUCCESS;
  });
}

/// The descriptor stays the caller's.
VGPU_API CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle,
                                                 void *shareable, CUmemAllocationHandleType type) {
  return guarded([&](Driver &driver) -> CUresult {
    if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
      return CUDA_ERROR_INVALID_VALUE;
    auto given = static_cast<int>(reinterpret_cast<intptr_t>(shareable));
    int descriptor = fcntl(given, F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0)
      return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<const PageFile> file = PageFile::adopt(descriptor);
    for (const auto &device : driver.devices)
      if (file && file->name() == nameFor(*device))
        return add(driver, {*device, std::move(file), true, true}, handle);
    return CUDA_ERROR_INVALID_VALUE;
  });
}
