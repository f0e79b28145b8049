// Initialisation, devices and contexts.
#include "driver/Api.h"

#include <cstdio>
#include <cstring>
#include <stdexcept>

using namespace vgpu;

namespace {

constexpr int kDriverVersion = 13000;

template <class Body> CUresult withDevice(CUdevice ordinal, Body body) {
  return guarded([&](Driver &driver) -> CUresult {
    Device *device = driver.device(ordinal);
    return device ? body(driver, *device) : CUDA_ERROR_INVALID_DEVICE;
  });
}

CUcontext handleOf(Context *context) { return reinterpret_cast<CUcontext>(context); }

CUresult createContext(CUcontext *context, unsigned flags, CUdevice device) {
  return withDevice(device, [&](Driver &driver, Device &found) -> CUresult {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    auto created = std::make_unique<Context>(found);
    created->flags = flags;
    Driver::currentStack().push_back(created.get());
    driver.contexts.add(std::move(created), context);
    return CUDA_SUCCESS;
  });
}

} // namespace

VGPU_API CUresult cuInit(unsigned flags) {
  if (flags)
    return CUDA_ERROR_INVALID_VALUE;
  try {
    Driver &driver = Driver::get();
    std::lock_guard lock(driver.mutex);
    return driver.initialize();
  } catch (const std::bad_alloc &) {
    Driver::get().explain("cannot reserve address space for the device's memory");
    return CUDA_ERROR_OUT_OF_MEMORY;
  } catch (const std::invalid_argument &error) {
    Driver::get().explain(error.what());
    return CUDA_ERROR_INVALID_VALUE;
  }
}

VGPU_API CUresult cuDriverGetVersion(int *version) {
  if (!version)
    return CUDA_ERROR_INVALID_VALUE;
  *version = kDriverVersion;
  return CUDA_SUCCESS;
}

VGPU_API CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  return withDevice(ordinal, [&](Driver &, Device &) -> CUresult {
    if (!device)
      return CUDA_ERROR_INVALID_VALUE;
    *device = ordinal;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDeviceGetCount(int *count) {
  return guarded([&](Driver &driver) -> CUresult {
    if (!count)
      return CUDA_ERROR_INVALID_VALUE;
    *count = static_cast<int>(driver.devices.size());
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  return withDevice(device, [&](Driver &, Device &found) -> CUresult {
    if (!name || length <= 0)
      return CUDA_ERROR_INVALID_VALUE;
    std::snprintf(name, static_cast<size_t>(length), "%.*s",
                  static_cast<int>(found.model.name.size()), found.model.name.data());
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) {
  return withDevice(device, [&](Driver &, Device &found) -> CUresult {
    if (!uuid)
      return CUDA_ERROR_INVALID_VALUE;
    std::memset(uuid, 0, sizeof *uuid);
    std::memcpy(uuid->bytes, "vgpu", 4);
    uuid->bytes[15] = static_cast<char>(found.ordinal);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  return withDevice(device, [&](Driver &, Device &found) -> CUresult {
    if (!bytes)
      return CUDA_ERROR_INVALID_VALUE;
    *bytes = found.memory.capacity();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  return withDevice(device, [&](Driver &driver, Device &found) -> CUresult {
    if (!value)
      return CUDA_ERROR_INVALID_VALUE;
    std::optional<int> known = attributeOf(found.model, attribute);
    if (!known) {
      driver.explain("device attribute " + std::to_string(attribute) + " is not known");
      return CUDA_ERROR_INVALID_VALUE;
    }
    *value = *known;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDeviceGetPCIBusId(char *id, int length, CUdevice device) {
  return withDevice(device, [&](Driver &, Device &found) -> CUresult {
    if (!id || length < 13)
      return CUDA_ERROR_INVALID_VALUE;
    std::snprintf(id, static_cast<size_t>(length), "0000:%02x:00.0", found.ordinal);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
  return withDevice(device, [&](Driver &driver, Device &) -> CUresult {
    if (!can || !driver.device(peer))
      return can ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_VALUE;
    *can = 0;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute,
                                          CUdevice device, CUdevice peer) {
  return withDevice(device, [&](Driver &driver, Device &) -> CUresult {
    if (!driver.device(peer) || device == peer)
      return CUDA_ERROR_INVALID_DEVICE;
    if (!value || attribute < CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK ||
        attribute > CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED)
      return CUDA_ERROR_INVALID_VALUE;
    *value = 0;
    return CUDA_SUCCESS;
  });
}

// --- Contexts

VGPU_API CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  return withDevice(device, [&](Driver &driver, Device &found) -> CUresult {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    *context = handleOf(driver.primary(found));
    ++driver.primaryUses[device];
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return withDevice(device, [&](Driver &driver, Device &) -> CUresult {
    if (Context *context = driver.primaries[device]) {
      context->synchronize();
      driver.release(*context);
    }
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return withDevice(device, [&](Driver &driver, Device &) -> CUresult {
    unsigned &uses = driver.primaryUses[device];
    if (!uses)
      return CUDA_ERROR_INVALID_CONTEXT;
    return --uses ? CUDA_SUCCESS : cuDevicePrimaryCtxReset_v2(device);
  });
}

VGPU_API CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return withDevice(device, [&](Driver &driver, Device &found) -> CUresult {
    driver.primary(found)->flags = flags;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
  return withDevice(device, [&](Driver &driver, Device &) -> CUresult {
    if (!flags || !active)
      return CUDA_ERROR_INVALID_VALUE;
    Context *context = driver.primaries[device];
    *flags = context ? context->flags : 0;
    *active = driver.primaryUses[device] > 0;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device) {
  return createContext(context, flags, device);
}

VGPU_API CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned flags,
                                 CUdevice device) {
  if (parameters)
    return CUDA_ERROR_NOT_SUPPORTED; // execution affinity
  return createContext(context, flags, device);
}

VGPU_API CUresult cuCtxDestroy_v2(CUcontext context) {
  return guarded([&](Driver &driver) -> CUresult {
    Context *found = driver.contexts.find(context);
    if (!found)
      return CUDA_ERROR_INVALID_CONTEXT;
    found->synchronize();
    driver.console.flush();
    std::vector<Context *> &stack = Driver::currentStack();
    if (!stack.empty() && stack.back() == found)
      stack.pop_back();
    driver.release(*found);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxPushCurrent_v2(CUcontext context) {
  return guarded([&](Driver &driver) -> CUresult {
    Context *found = driver.contexts.find(context);
    if (!found)
      return CUDA_ERROR_INVALID_CONTEXT;
    Driver::currentStack().push_back(found);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxPopCurrent_v2(CUcontext *context) {
  return guarded([&](Driver &) -> CUresult {
    std::vector<Context *> &stack = Driver::currentStack();
    if (stack.empty())
      return CUDA_ERROR_INVALID_CONTEXT;
    if (context)
      *context = handleOf(stack.back());
    stack.pop_back();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxSetCurrent(CUcontext context) {
  return guarded([&](Driver &driver) -> CUresult {
    std::vector<Context *> &stack = Driver::currentStack();
    Context *found = driver.contexts.find(context);
    if (context && !found)
      return CUDA_ERROR_INVALID_CONTEXT;
    if (!stack.empty())
      stack.pop_back();
    if (found)
      stack.push_back(found);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxGetCurrent(CUcontext *context) {
  return guarded([&](Driver &) -> CUresult {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    std::vector<Context *> &stack = Driver::currentStack();
    *context = stack.empty() ? nullptr : handleOf(stack.back());
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxGetDevice(CUdevice *device) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!device)
      return CUDA_ERROR_INVALID_VALUE;
    *device = context.device.ordinal;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxGetFlags(unsigned *flags) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!flags)
      return CUDA_ERROR_INVALID_VALUE;
    *flags = context.flags;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version) {
  return guarded([&](Driver &driver) -> CUresult {
    if (!version)
      return CUDA_ERROR_INVALID_VALUE;
    if (context && !driver.contexts.find(context))
      return CUDA_ERROR_INVALID_CONTEXT;
    *version = 3020; // of contexts, since CUDA 3.2
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxSynchronize() {
  return waitFor([](Context &context, std::vector<std::shared_ptr<Task>> &tasks) -> CUresult {
    tasks = context.lastTasks();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    Machine &machine = context.device.machine;
    switch (limit) {
    case CU_LIMIT_STACK_SIZE:
      if (value > 512 * 1024)
        return CUDA_ERROR_INVALID_VALUE;
      machine.stackBytes = static_cast<uint32_t>(value);
      return CUDA_SUCCESS;
    case CU_LIMIT_MALLOC_HEAP_SIZE:
      machine.heapBytes = value;
      return CUDA_SUCCESS;
    case CU_LIMIT_PRINTF_FIFO_SIZE: // the console has no limit
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_UNSUPPORTED_LIMIT;
    }
  });
}

VGPU_API CUresult cuCtxGetLimit(size_t *value, CUlimit limit) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!value)
      return CUDA_ERROR_INVALID_VALUE;
    switch (limit) {
    case CU_LIMIT_STACK_SIZE:
      *value = context.device.machine.stackBytes;
      return CUDA_SUCCESS;
    case CU_LIMIT_MALLOC_HEAP_SIZE:
      *value = context.device.machine.heapBytes;
      return CUDA_SUCCESS;
    case CU_LIMIT_PRINTF_FIFO_SIZE:
      *value = 1 << 20;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_UNSUPPORTED_LIMIT;
    }
  });
}

VGPU_API CUresult cuCtxSetCacheConfig(CUfunc_cache config) {
  return inContext([=](Driver &, Context &) {
    return config <= CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

VGPU_API CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  return inContext([&](Driver &, Context &) {
    if (least)
      *least = 0;
    if (greatest)
      *greatest = -5;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    Context *other = driver.contexts.find(peer);
    if (!other || other == &context)
      return CUDA_ERROR_INVALID_CONTEXT;
    if (flags)
      return CUDA_ERROR_INVALID_VALUE;
    driver.explain("device " + std::to_string(context.device.ordinal) +
                   " cannot access the memory of device " + std::to_string(other->device.ordinal) +
                   ": peer access is not supported");
    return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
  });
}

VGPU_API CUresult cuCtxDisablePeerAccess(CUcontext peer) {
  return inContext([&](Driver &driver, Context &) -> CUresult {
    return driver.contexts.find(peer) ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED
                                      : CUDA_ERROR_INVALID_CONTEXT;
  });
}
