// The runtime declares of the driver what the toolkit's cuda.h declares: a
// difference would not compile.
#include "runtime/devices/CudaDriver.h"

#include <cuda.h>
#include <type_traits>

namespace own = moec::runtime::cuda;

// Enumerations are integers here; the two structures are compared below.
template <typename Own, typename Theirs>
constexpr bool kIsSame =
    std::is_same_v<Own, Theirs> || (std::is_same_v<Own, int> && std::is_enum_v<Theirs>) ||
    (std::is_same_v<Own, own::Copy2D> && std::is_same_v<Theirs, CUDA_MEMCPY2D>) ||
    (std::is_same_v<Own, own::KernelNode> && std::is_same_v<Theirs, CUDA_KERNEL_NODE_PARAMS>);
template <typename Own, typename Theirs>
constexpr bool kIsSame<const Own, const Theirs> = kIsSame<Own, Theirs>;
template <typename Own, typename Theirs>
constexpr bool kIsSame<Own *, Theirs *> = kIsSame<Own, Theirs>;
template <typename... Own, typename... Theirs>
constexpr bool kIsSame<own::Result (*)(Own...), CUresult (*)(Theirs...)> =
    (kIsSame<Own, Theirs> && ...);

#define SAME_FUNCTION(symbol, name, parameters)                                                    \
  static_assert(kIsSame<decltype(own::Driver::name), decltype(&::symbol)>);
MOEC_CUDA_FUNCTIONS(SAME_FUNCTION)

#define SAME_VALUE(ours, theirs) static_assert(int(own::ours) == int(theirs))
SAME_VALUE(kSuccess, CUDA_SUCCESS);
SAME_VALUE(kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
SAME_VALUE(kComputeCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME_VALUE(kComputeCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME_VALUE(kMultiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME_VALUE(kMemoryClockKhz, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
SAME_VALUE(kMemoryBusBits, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
SAME_VALUE(kMaxDynamicSharedMemory, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME_VALUE(kJitErrorLog, CU_JIT_ERROR_LOG_BUFFER);
SAME_VALUE(kJitErrorLogBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
SAME_VALUE(kNonBlockingStream, CU_STREAM_NON_BLOCKING);
SAME_VALUE(kHostMemory, CU_MEMORYTYPE_HOST);
SAME_VALUE(kDeviceMemory, CU_MEMORYTYPE_DEVICE);

#define SAME_FIELD(ours, field, theirs, theirField)                                                \
  static_assert(offsetof(own::ours, field) == offsetof(theirs, theirField) &&                      \
                sizeof(own::ours::field) == sizeof(theirs::theirField))
static_assert(sizeof(own::Copy2D) == sizeof(CUDA_MEMCPY2D));
SAME_FIELD(Copy2D, fromX, CUDA_MEMCPY2D, srcXInBytes);
SAME_FIELD(Copy2D, fromY, CUDA_MEMCPY2D, srcY);
SAME_FIELD(Copy2D, fromType, CUDA_MEMCPY2D, srcMemoryType);
SAME_FIELD(Copy2D, fromHost, CUDA_MEMCPY2D, srcHost);
SAME_FIELD(Copy2D, fromDevice, CUDA_MEMCPY2D, srcDevice);
SAME_FIELD(Copy2D, fromPitch, CUDA_MEMCPY2D, srcPitch);
SAME_FIELD(Copy2D, toX, CUDA_MEMCPY2D, dstXInBytes);
SAME_FIELD(Copy2D, toY, CUDA_MEMCPY2D, dstY);
SAME_FIELD(Copy2D, toType, CUDA_MEMCPY2D, dstMemoryType);
SAME_FIELD(Copy2D, toHost, CUDA_MEMCPY2D, dstHost);
SAME_FIELD(Copy2D, toDevice, CUDA_MEMCPY2D, dstDevice);
SAME_FIELD(Copy2D, toPitch, CUDA_MEMCPY2D, dstPitch);
SAME_FIELD(Copy2D, width, CUDA_MEMCPY2D, WidthInBytes);
SAME_FIELD(Copy2D, height, CUDA_MEMCPY2D, Height);
static_assert(sizeof(own::KernelNode) == sizeof(CUDA_KERNEL_NODE_PARAMS));
SAME_FIELD(KernelNode, function, CUDA_KERNEL_NODE_PARAMS, func);
SAME_FIELD(KernelNode, gridX, CUDA_KERNEL_NODE_PARAMS, gridDimX);
SAME_FIELD(KernelNode, gridY, CUDA_KERNEL_NODE_PARAMS, gridDimY);
SAME_FIELD(KernelNode, gridZ, CUDA_KERNEL_NODE_PARAMS, gridDimZ);
SAME_FIELD(KernelNode, blockX, CUDA_KERNEL_NODE_PARAMS, blockDimX);
SAME_FIELD(KernelNode, blockY, CUDA_KERNEL_NODE_PARAMS, blockDimY);
SAME_FIELD(KernelNode, blockZ, CUDA_KERNEL_NODE_PARAMS, blockDimZ);
SAME_FIELD(KernelNode, sharedBytes, CUDA_KERNEL_NODE_PARAMS, sharedMemBytes);
SAME_FIELD(KernelNode, parameters, CUDA_KERNEL_NODE_PARAMS, kernelParams);
SAME_FIELD(KernelNode, extra, CUDA_KERNEL_NODE_PARAMS, extra);
SAME_FIELD(KernelNode, kernel, CUDA_KERNEL_NODE_PARAMS, kern);
SAME_FIELD(KernelNode, context, CUDA_KERNEL_NODE_PARAMS, ctx);
