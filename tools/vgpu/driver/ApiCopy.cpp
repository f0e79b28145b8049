// Copies and fills.
#include "driver/Api.h"
#include "driver/Submit.h"

#include <cstring>

using namespace vgpu;

namespace {

/// One side of a copy.
struct Place {
  uint64_t address;
  bool mustBeDevice; ///< otherwise an address that the device does not know is the host's
};

bool isKnown(const Context &context, uint64_t address, uint64_t bytes) {
  std::optional<Allocation> found = context.device.memory.find(address);
  return found && found->contains(address, bytes);
}

bool isValid(const Context &context, const Place &place, uint64_t bytes) {
  if (isKnown(context, place.address, bytes))
    return true;
  return !place.mustBeDevice && !context.device.memory.inArena(place.address) && place.address;
}

/// What has been written follows the data. A host that reads what nobody wrote is told.
void moveBytes(Driver &driver, DeviceMemory &memory, uint64_t to, uint64_t from, uint64_t bytes) {
  if (memory.inArena(from) && !memory.inArena(to))
    if (std::optional<uint64_t> address = memory.firstUninitialized(from, bytes)) {
      Finding finding;
      finding.kind = FindingKind::Uninitialized;
      finding.severity = Severity::Note;
      finding.message = "a copy to the host reads memory that nobody has written";
      finding.address = *address;
      finding.hasAddress = true;
      driver.findings.add(std::move(finding));
    }
  std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
  memory.copyInitialized(to, from, bytes);
}

/// Memory that the device does not know is copied when the call is made: the
/// driver stages it, and the program may reuse it at once.
CUresult copy(CUstream handle, Place to, Place from, size_t bytes) {
  return inStream(handle, [&](Driver &driver, Context &context, Stream &stream) -> CUresult {
    if (bytes == 0)
      return CUDA_SUCCESS;
    if (!isValid(context, to, bytes) || !isValid(context, from, bytes))
      return CUDA_ERROR_INVALID_VALUE;
    DeviceMemory &memory = context.device.memory;
    std::function<void()> action;
    if (!isKnown(context, from.address, bytes) && !stream.capture) {
      auto staged = std::make_shared<std::vector<uint8_t>>(bytes);
      std::memcpy(staged->data(), reinterpret_cast<const void *>(from.address), bytes);
      action = [&driver, &memory, staged, to, bytes] {
        moveBytes(driver, memory, to.address, reinterpret_cast<uint64_t>(staged->data()), bytes);
      };
    } else {
      action = [&driver, &memory, to, from, bytes] {
        moveBytes(driver, memory, to.address, from.address, bytes);
      };
    }
    return submitAction(driver, context, stream, CU_GRAPH_NODE_TYPE_MEMCPY, std::move(action));
  });
}

/// The blocking functions go through the default stream.
CUresult finishDefault(CUresult submitted) {
  return submitted == CUDA_SUCCESS ? cuStreamSynchronize(nullptr) : submitted;
}

Place device(CUdeviceptr address) { return {address, true}; }
Place host(const void *address) { return {reinterpret_cast<uint64_t>(address), false}; }
Place any(CUdeviceptr address) { return {address, false}; }

/// A device-to-host copy into memory that the device does not know blocks.
CUresult copyToHost(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  CUresult result = copy(stream, host(to), device(from), bytes);
  bool isPageable = false;
  if (result == CUDA_SUCCESS)
    inStream(stream, [&](Driver &, Context &context, Stream &found) {
      isPageable = !isKnown(context, reinterpret_cast<uint64_t>(to), bytes) && !found.capture;
      return CUDA_SUCCESS;
    });
  return isPageable ? cuStreamSynchronize(stream) : result;
}

// --- Boxes

/// One side of a copy of a box: where it begins, and from row to row and from slice
/// to slice.
struct Side {
  Place place;
  size_t pitch, slice;

  size_t offset(size_t row, size_t depth) const { return depth * slice + row * pitch; }
};

struct Extent {
  size_t width, height, depth;
  bool isEmpty() const { return !width || !height || !depth; }
};

std::optional<Place> placeOf(CUmemorytype type, const void *hostAddress,
                             CUdeviceptr deviceAddress) {
  switch (type) {
  case CU_MEMORYTYPE_HOST:
    return hostAddress ? std::optional(Place{reinterpret_cast<uint64_t>(hostAddress), false})
                       : std::nullopt;
  case CU_MEMORYTYPE_DEVICE:
    return Place{deviceAddress, true};
  case CU_MEMORYTYPE_UNIFIED:
    return Place{deviceAddress, false};
  default:
    return std::nullopt;
  }
}

/// Rows and slices may not overlap, and all of the box is memory.
bool isValid(const Context &context, const Side &side, const Extent &extent) {
  if (extent.height > 1 && side.pitch < extent.width)
    return false;
  if (extent.depth > 1 && side.slice < side.offset(extent.height - 1, 0) + extent.width)
    return false;
  return isValid(context, side.place,
                 side.offset(extent.height - 1, extent.depth - 1) + extent.width);
}

CUresult copyBox(CUstream handle, const Side &to, const Side &from, const Extent &extent) {
  return inStream(handle, [&](Driver &driver, Context &context, Stream &stream) -> CUresult {
    if (extent.isEmpty())
      return CUDA_SUCCESS;
    if (!isValid(context, to, extent) || !isValid(context, from, extent))
      return CUDA_ERROR_INVALID_VALUE;
    DeviceMemory &memory = context.device.memory;
    return submitAction(driver, context, stream, CU_GRAPH_NODE_TYPE_MEMCPY, [=, &driver, &memory] {
      for (size_t slice = 0; slice < extent.depth; ++slice)
        for (size_t row = 0; row < extent.height; ++row)
          moveBytes(driver, memory, to.place.address + to.offset(row, slice),
                    from.place.address + from.offset(row, slice), extent.width);
    });
  });
}

CUresult copy2D(const CUDA_MEMCPY2D *request, CUstream handle) {
  if (!request)
    return CUDA_ERROR_INVALID_VALUE;
  std::optional<Place> to = placeOf(request->dstMemoryType, request->dstHost, request->dstDevice);
  std::optional<Place> from = placeOf(request->srcMemoryType, request->srcHost, request->srcDevice);
  if (!to || !from)
    return CUDA_ERROR_INVALID_VALUE;
  to->address += request->dstY * request->dstPitch + request->dstXInBytes;
  from->address += request->srcY * request->srcPitch + request->srcXInBytes;
  return copyBox(handle, {*to, request->dstPitch, 0}, {*from, request->srcPitch, 0},
                 {request->WidthInBytes, request->Height, 1});
}

CUresult copy3D(const CUDA_MEMCPY3D *request, CUstream handle) {
  if (!request || request->srcLOD || request->dstLOD)
    return CUDA_ERROR_INVALID_VALUE;
  std::optional<Place> to = placeOf(request->dstMemoryType, request->dstHost, request->dstDevice);
  std::optional<Place> from = placeOf(request->srcMemoryType, request->srcHost, request->srcDevice);
  if (!to || !from)
    return CUDA_ERROR_INVALID_VALUE;
  Side target{*to, request->dstPitch, request->dstPitch * request->dstHeight};
  Side source{*from, request->srcPitch, request->srcPitch * request->srcHeight};
  target.place.address += target.offset(request->dstY, request->dstZ) + request->dstXInBytes;
  source.place.address += source.offset(request->srcY, request->srcZ) + request->srcXInBytes;
  return copyBox(handle, target, source, {request->WidthInBytes, request->Height, request->Depth});
}

// --- Fills

template <class T>
CUresult fill(CUstream handle, CUdeviceptr to, size_t pitch, T value, size_t width, size_t height) {
  return inStream(handle, [&](Driver &driver, Context &context, Stream &stream) -> CUresult {
    if (!width || !height)
      return CUDA_SUCCESS;
    size_t bytes = width * sizeof(T);
    if (to % sizeof(T) || (height > 1 && pitch < bytes) ||
        !isKnown(context, to, (height - 1) * pitch + bytes))
      return CUDA_ERROR_INVALID_VALUE;
    DeviceMemory &memory = context.device.memory;
    return submitAction(driver, context, stream, CU_GRAPH_NODE_TYPE_MEMSET, [=, &memory] {
      for (size_t row = 0; row < height; ++row) {
        T *first = reinterpret_cast<T *>(to + row * pitch);
        std::fill(first, first + width, value);
        memory.markInitialized(to + row * pitch, bytes);
      }
    });
  });
}

} // namespace

VGPU_API CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return finishDefault(copy(nullptr, any(to), any(from), bytes));
}
VGPU_API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  return finishDefault(copy(nullptr, device(to), host(from), bytes));
}
VGPU_API CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return finishDefault(copy(nullptr, host(to), device(from), bytes));
}
VGPU_API CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return finishDefault(copy(nullptr, device(to), device(from), bytes));
}
VGPU_API CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy(stream, any(to), any(from), bytes);
}
VGPU_API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes,
                                       CUstream stream) {
  return copy(stream, device(to), host(from), bytes);
}
VGPU_API CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copyToHost(to, from, bytes, stream);
}
VGPU_API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                       CUstream stream) {
  return copy(stream, device(to), device(from), bytes);
}
VGPU_API CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *request) {
  return finishDefault(copy2D(request, nullptr));
}
VGPU_API CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *request) {
  return finishDefault(copy2D(request, nullptr));
}
VGPU_API CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *request, CUstream stream) {
  return copy2D(request, stream);
}

VGPU_API CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *request) {
  return finishDefault(copy3D(request, nullptr));
}
VGPU_API CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *request, CUstream stream) {
  return copy3D(request, stream);
}

VGPU_API CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return finishDefault(fill<uint8_t>(nullptr, to, 0, value, count, 1));
}
VGPU_API CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  return finishDefault(fill<uint16_t>(nullptr, to, 0, value, count, 1));
}
VGPU_API CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return finishDefault(fill<uint32_t>(nullptr, to, 0, value, count, 1));
}
VGPU_API CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count,
                                  CUstream stream) {
  return fill<uint8_t>(stream, to, 0, value, count, 1);
}
VGPU_API CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count,
                                   CUstream stream) {
  return fill<uint16_t>(stream, to, 0, value, count, 1);
}
VGPU_API CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return fill<uint32_t>(stream, to, 0, value, count, 1);
}
VGPU_API CUresult cuMemsetD2D8_v2(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                                  size_t height) {
  return finishDefault(fill<uint8_t>(nullptr, to, pitch, value, width, height));
}
VGPU_API CUresult cuMemsetD2D32_v2(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                                   size_t height) {
  return finishDefault(fill<uint32_t>(nullptr, to, pitch, value, width, height));
}
