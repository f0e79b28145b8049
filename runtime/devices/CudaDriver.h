//===- CudaDriver.h - the part of CUDA's driver API that is used ----------===//
//
// Declared here and found by name at run time, so that neither building nor
// running needs a toolkit, and machines without a driver load the runtime.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/Status.h"

#include <cstddef>

struct CUctx_st;
struct CUfunc_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUgraphNode_st;
struct CUkern_st;
struct CUmod_st;
struct CUstream_st;

namespace moec::runtime::cuda {

using Result = int;    // CUresult
using Ordinal = int;   // CUdevice
using Attribute = int; // CUdevice_attribute, CUfunction_attribute, CUjit_option
using Address = unsigned long long;
using Context = CUctx_st *;
using Function = CUfunc_st *;
using Graph = CUgraph_st *;
using GraphExec = CUgraphExec_st *;
using GraphNode = CUgraphNode_st *;
using Module = CUmod_st *;
using Stream = CUstream_st *;

inline constexpr Result kSuccess = 0, kOutOfMemory = 2;
inline constexpr Attribute kComputeCapabilityMajor = 75, kComputeCapabilityMinor = 76;
inline constexpr Attribute kMultiprocessors = 16, kMemoryClockKhz = 36, kMemoryBusBits = 37;
inline constexpr Attribute kMaxDynamicSharedMemory = 8; // of a function
inline constexpr Attribute kJitErrorLog = 5, kJitErrorLogBytes = 6;
inline constexpr unsigned kNonBlockingStream = 1;

/// CUDA_MEMCPY2D. Memory types: 1 is the host's, 2 a device's.
struct Copy2D {
  size_t fromX = 0, fromY = 0;
  unsigned fromType = 0;
  const void *fromHost = nullptr;
  Address fromDevice = 0;
  void *fromArray = nullptr;
  size_t fromPitch = 0;
  size_t toX = 0, toY = 0;
  unsigned toType = 0;
  void *toHost = nullptr;
  Address toDevice = 0;
  void *toArray = nullptr;
  size_t toPitch = 0;
  size_t width = 0, height = 0;
};
inline constexpr unsigned kHostMemory = 1, kDeviceMemory = 2;

/// CUDA_KERNEL_NODE_PARAMS: what a node of a graph launches.
struct KernelNode {
  Function function = nullptr;
  unsigned gridX = 1, gridY = 1, gridZ = 1;
  unsigned blockX = 1, blockY = 1, blockZ = 1;
  unsigned sharedBytes = 0;
  void **parameters = nullptr;
  void **extra = nullptr;
  CUkern_st *kernel = nullptr;
  Context context = nullptr;
};

/// name in the library, our name, parameters.
#define MOEC_CUDA_FUNCTIONS(X)                                                                     \
  X(cuInit, init, (unsigned flags))                                                                \
  X(cuDriverGetVersion, version, (int *version))                                                   \
  X(cuGetErrorName, errorName, (Result result, const char **name))                                 \
  X(cuGetErrorString, errorString, (Result result, const char **text))                             \
  X(cuDeviceGetCount, deviceCount, (int *count))                                                   \
  X(cuDeviceGet, deviceGet, (Ordinal * device, int ordinal))                                       \
  X(cuDeviceGetName, deviceName, (char *name, int length, Ordinal device))                         \
  X(cuDeviceGetAttribute, deviceAttribute, (int *value, Attribute attribute, Ordinal device))      \
  X(cuDevicePrimaryCtxRetain, contextRetain, (Context * context, Ordinal device))                  \
  X(cuDevicePrimaryCtxRelease_v2, contextRelease, (Ordinal device))                                \
  X(cuCtxSetCurrent, contextSetCurrent, (Context context))                                         \
  X(cuModuleLoadDataEx, moduleLoad,                                                                \
    (Module * module, const void *image, unsigned options, Attribute *names, void **values))       \
  X(cuModuleUnload, moduleUnload, (Module module))                                                 \
  X(cuModuleGetFunction, moduleFunction, (Function * function, Module module, const char *name))   \
  X(cuFuncSetAttribute, functionSetAttribute, (Function function, Attribute attribute, int value)) \
  X(cuMemGetInfo_v2, memoryInfo, (size_t *free, size_t *total))                                    \
  X(cuMemAlloc_v2, memoryAllocate, (Address * address, size_t bytes))                              \
  X(cuMemFree_v2, memoryFree, (Address address))                                                   \
  X(cuMemcpyHtoDAsync_v2, copyToDevice,                                                            \
    (Address to, const void *from, size_t bytes, Stream stream))                                   \
  X(cuMemcpyDtoHAsync_v2, copyToHost, (void *to, Address from, size_t bytes, Stream stream))       \
  X(cuMemcpyDtoDAsync_v2, copyInside, (Address to, Address from, size_t bytes, Stream stream))     \
  X(cuMemcpy2DAsync_v2, copyRuns, (const Copy2D *copy, Stream stream))                             \
  X(cuMemsetD32Async, memorySet, (Address address, unsigned value, size_t count, Stream stream))   \
  X(cuStreamCreate, streamCreate, (Stream * stream, unsigned flags))                               \
  X(cuStreamSynchronize, streamSynchronize, (Stream stream))                                       \
  X(cuStreamDestroy_v2, streamDestroy, (Stream stream))                                            \
  X(cuLaunchKernel, launchKernel,                                                                  \
    (Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,           \
     unsigned blockY, unsigned blockZ, unsigned sharedBytes, Stream stream, void **parameters,     \
     void **extra))                                                                                \
  X(cuGraphCreate, graphCreate, (Graph * graph, unsigned flags))                                   \
  X(cuGraphDestroy, graphDestroy, (Graph graph))                                                   \
  X(cuGraphAddKernelNode_v2, graphAddKernel,                                                       \
    (GraphNode * node, Graph graph, const GraphNode *after, size_t count,                          \
     const KernelNode *kernel))                                                                    \
  X(cuGraphInstantiateWithFlags, graphInstantiate,                                                 \
    (GraphExec * exec, Graph graph, unsigned long long flags))                                     \
  X(cuGraphExecKernelNodeSetParams_v2, graphSetKernel,                                             \
    (GraphExec exec, GraphNode node, const KernelNode *kernel))                                    \
  X(cuGraphLaunch, graphLaunch, (GraphExec exec, Stream stream))                                   \
  X(cuGraphExecDestroy, graphExecDestroy, (GraphExec exec))

/// The functions of the driver that is installed.
struct Driver {
#define MOEC_CUDA_MEMBER(symbol, name, parameters) Result(*name) parameters = nullptr;
  MOEC_CUDA_FUNCTIONS(MOEC_CUDA_MEMBER)
#undef MOEC_CUDA_MEMBER

  /// The driver of this process, initialised; fails where there is none.
  static Status find(const Driver *&driver);

  /// What a call returned, as a status that says what it was for.
  Status check(Result result, const char *what) const;
};

} // namespace moec::runtime::cuda
