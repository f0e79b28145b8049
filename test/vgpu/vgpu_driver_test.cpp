// Devices, contexts and launches behave as documented: what is refused, what attributes
// say.
#include "DriverApi.h"

namespace {

TEST_F(DriverApi, Attributes) {
  int major, minor, shared, none;
  GPU_CHECK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
  GPU_CHECK(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0));
  GPU_CHECK(
      cuDeviceGetAttribute(&shared, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 0));
  EXPECT_EQ(10 * major + minor, 90);
  EXPECT_EQ(shared, 227 * 1024);
  EXPECT_EQ(cuDeviceGetAttribute(&none, static_cast<CUdevice_attribute>(9999), 0),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuDeviceGetAttribute(&none, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 7),
            CUDA_ERROR_INVALID_DEVICE);
}

TEST_F(DriverApi, ErrorsHaveNames) {
  const char *text;
  GPU_CHECK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
  GPU_CHECK(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "an illegal memory access was encountered");
  EXPECT_EQ(cuGetErrorName(static_cast<CUresult>(12345), &text), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(text, nullptr);
}

// Numbers that no enumerator has are answered, like any other wrong argument.
TEST_F(DriverApi, UnknownEnumeratorsAreRefused) {
  CUfunction function = kernel(module, "increment");
  Buffer<int> data(32);
  int value = 0;
  size_t size = 0;
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, 0));
  EXPECT_EQ(cuFuncGetAttribute(&value, static_cast<CUfunction_attribute>(999), function),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuFuncSetAttribute(function, static_cast<CUfunction_attribute>(999), 0),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuFuncSetCacheConfig(function, static_cast<CUfunc_cache>(4)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuCtxSetCacheConfig(static_cast<CUfunc_cache>(4)), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuCtxGetLimit(&size, static_cast<CUlimit>(999)), CUDA_ERROR_UNSUPPORTED_LIMIT);
  EXPECT_EQ(cuPointerGetAttribute(&size, static_cast<CUpointer_attribute>(999), data.address),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuStreamBeginCapture_v2(stream, static_cast<CUstreamCaptureMode>(9)),
            CUDA_ERROR_INVALID_VALUE);
  auto copy = zeros<CUDA_MEMCPY2D>();
  copy.srcMemoryType = static_cast<CUmemorytype>(77);
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = data.address;
  copy.WidthInBytes = copy.srcPitch = copy.dstPitch = 4;
  copy.Height = 1;
  EXPECT_EQ(cuMemcpy2D_v2(&copy), CUDA_ERROR_INVALID_VALUE);
  CUlaunchAttribute attribute{};
  attribute.id = static_cast<CUlaunchAttributeID>(999);
  CUlaunchConfig config{1, 1, 1, 1, 1, 1, 0, nullptr, &attribute, 1};
  EXPECT_EQ(cuLaunchKernelEx(&config, function, nullptr, nullptr), CUDA_ERROR_NOT_SUPPORTED);
  GPU_CHECK(cuStreamDestroy_v2(stream));
}

TEST_F(DriverApi, FunctionsByName) {
  void *function;
  CUdriverProcAddressQueryResult status;
  GPU_CHECK(cuGetProcAddress_v2("cuMemAlloc", &function, 12000, 0, &status));
  EXPECT_EQ(function, reinterpret_cast<void *>(&cuMemAlloc_v2));
  EXPECT_EQ(cuGetProcAddress_v2("cuNoSuchFunction", &function, 12000, 0, &status),
            CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

TEST_F(DriverApi, ContextsAreAStack) {
  CUcontext other, current;
  GPU_CHECK(cuCtxCreate_v2(&other, 0, 0));
  GPU_CHECK(cuCtxGetCurrent(&current));
  EXPECT_EQ(current, other);
  GPU_CHECK(cuCtxDestroy_v2(other));
  GPU_CHECK(cuCtxGetCurrent(&current));
  EXPECT_EQ(current, context);
  EXPECT_EQ(cuCtxSetCurrent(other), CUDA_ERROR_INVALID_CONTEXT);
  GPU_CHECK(cuCtxSetCurrent(nullptr));
  CUdeviceptr address;
  EXPECT_EQ(cuMemAlloc_v2(&address, 4), CUDA_ERROR_INVALID_CONTEXT);
  GPU_CHECK(cuCtxSetCurrent(context));
}

TEST_F(DriverApi, PrimaryContextIsShared) {
  CUcontext first, second;
  GPU_CHECK(cuDevicePrimaryCtxRetain(&first, 0));
  GPU_CHECK(cuDevicePrimaryCtxRetain(&second, 0));
  EXPECT_EQ(first, second);
  GPU_CHECK(cuDevicePrimaryCtxRelease_v2(0));
  GPU_CHECK(cuDevicePrimaryCtxRelease_v2(0));
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(DriverApi, LaunchesAreValidated) {
  CUfunction function = kernel(module, "increment");
  Buffer<int> data(32);
  unsigned count = 32;
  void *parameters[] = {&data.address, &count};
  auto launchWith = [&](unsigned grid, unsigned block, unsigned shared) {
    return cuLaunchKernel(function, grid, 1, 1, block, 1, 1, shared, nullptr, parameters, nullptr);
  };
  EXPECT_EQ(launchWith(0, 32, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launchWith(1, 1025, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launchWith(1, 32, 48 * 1024 + 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(
      cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 228 * 1024),
      CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(
      cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 227 * 1024));
  data.clear();
  GPU_CHECK(launchWith(1, 32, 227 * 1024));
  EXPECT_EQ(cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(
      cuLaunchCooperativeKernel(function, 132 * 64 + 1, 1, 1, 32, 1, 1, 0, nullptr, parameters),
      CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
  EXPECT_EQ(data.get(), std::vector<int>(32, 1));
}

TEST_F(DriverApi, PackedArguments) {
  Buffer<int> data(32);
  data.clear();
  struct {
    CUdeviceptr data;
    unsigned count;
  } packed = {data.address, 20};
  size_t bytes = sizeof packed;
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                   CU_LAUNCH_PARAM_END};
  GPU_CHECK(
      cuLaunchKernel(kernel(module, "increment"), 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra));
  std::vector<int> values = data.get();
  EXPECT_EQ(values[19], 1);
  EXPECT_EQ(values[20], 0);
}

TEST_F(DriverApi, LaunchWithAttributes) {
  Buffer<int> data(32);
  data.clear();
  unsigned count = 32;
  void *parameters[] = {&data.address, &count};
  CUlaunchAttribute attribute{};
  attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  attribute.value.clusterDim = {1, 1, 1};
  CUlaunchConfig config{1, 1, 1, 32, 1, 1, 0, nullptr, &attribute, 1};
  GPU_CHECK(cuLaunchKernelEx(&config, kernel(module, "increment"), parameters, nullptr));
  attribute.value.clusterDim = {2, 1, 1};
  EXPECT_EQ(cuLaunchKernelEx(&config, kernel(module, "increment"), parameters, nullptr),
            CUDA_ERROR_INVALID_CLUSTER_SIZE);
  EXPECT_EQ(data.get(), std::vector<int>(32, 1));
}

TEST_F(DriverApi, Occupancy) {
  int blocks, grid, block;
  CUfunction function = kernel(module, "increment");
  GPU_CHECK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 256, 0));
  EXPECT_EQ(blocks, 8);
  GPU_CHECK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, 32, 100 * 1024));
  EXPECT_EQ(blocks, 2);
  GPU_CHECK(cuOccupancyMaxPotentialBlockSize(&grid, &block, function, nullptr, 0, 0));
  EXPECT_EQ(block, 1024);
  EXPECT_EQ(grid, 2 * 132);
}

} // namespace
