// The driver API behaves as documented: order of streams, events, graphs, what
// is refused, what attributes say.
#include "Gpu.h"

#include <atomic>
#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>
#include <thread>

namespace {

/// What C programs begin with; not all enumerations in it have an enumerator of 0.
template <class T> T zeros() {
  T value;
  std::memset(&value, 0, sizeof value);
  return value;
}

class DriverApi : public GpuTest {
protected:
  /// Adds 1 to `count` ints, so that the number of launches can be read.
  static constexpr const char *kIncrement = R"(
.version 7.0
.target sm_80
.address_size 64
.visible .entry increment(.param .u64 data, .param .u32 count) {
  .reg .pred %p;
  .reg .b32 %r<6>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [data];
  ld.param.u32 %r1, [count];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r2, %r2, %r3, %r4;
  setp.ge.u32 %p, %r2, %r1;
  @%p bra DONE;
  mul.wide.u32 %rd2, %r2, 4;
  add.u64 %rd3, %rd1, %rd2;
  ld.global.u32 %r5, [%rd3];
  add.u32 %r5, %r5, 1;
  st.global.u32 [%rd3], %r5;
DONE:
  ret;
}
.visible .entry wait(.param .u64 flag) {
  .reg .pred %p;
  .reg .b32 %r;
  .reg .b64 %rd;
  ld.param.u64 %rd, [flag];
AGAIN:
  ld.acquire.sys.global.u32 %r, [%rd];
  setp.eq.u32 %p, %r, 0;
  @%p bra AGAIN;
  ret;
}
.visible .entry raise(.param .u64 flag) {
  .reg .b64 %rd;
  ld.param.u64 %rd, [flag];
  st.release.sys.global.u32 [%rd], 1;
  ret;
}
)";

  void SetUp() override {
    GpuTest::SetUp();
    module = loadText(kIncrement);
  }

  CUresult increment(CUstream stream, CUdeviceptr data, unsigned count) {
    void *parameters[] = {&data, &count};
    return cuLaunchKernel(kernel(module, "increment"), (count + 31) / 32, 1, 1, 32, 1, 1, 0, stream,
                          parameters, nullptr);
  }
  CUresult single(const char *name, CUstream stream, CUdeviceptr flag) {
    void *parameters[] = {&flag};
    return cuLaunchKernel(kernel(module, name), 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr);
  }

  CUmodule module = nullptr;
};

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

TEST_F(DriverApi, BadPtxIsExplained) {
  CUmodule bad;
  char log[256];
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  const char *text = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry f() {\n"
                     "  .reg .b32 %r<2>;\n  add.s32 %r0, %r1 %r2;\n}\n";
  EXPECT_EQ(cuModuleLoadDataEx(&bad, text, 2, options, values), CUDA_ERROR_INVALID_PTX);
  EXPECT_STREQ(log, "ptx line 6: expected ';', but found '%r2'");
  EXPECT_EQ(cuModuleLoadData(&bad, "no ptx at all"), CUDA_ERROR_INVALID_IMAGE);
  EXPECT_EQ(cuModuleLoadData(&bad, ".version 8.0\n.target sm_100a\n.address_size 64\n"),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_EQ(cuModuleLoadData(&bad, "\x7f"
                                   "ELF and so on"),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
}

// The fatbin has compressed PTX for two chips, as nvcc packs it by default.
TEST_F(DriverApi, FatbinsAreUnpacked) {
  std::ifstream file(VGPU_TEST_KERNELS "/vector_add.fatbin", std::ios::binary);
  std::stringstream image;
  image << file.rdbuf();
  CUmodule fatbin;
  GPU_CHECK(cuModuleLoadData(&fatbin, image.str().data()));
  Buffer<float> a(std::vector<float>(32, 1.5f)), c(32);
  GPU_CHECK(
      launch(kernel(fatbin, "vector_add"), {1}, {32}, 0, a.address, a.address, c.address, 32));
  EXPECT_EQ(c.get(), std::vector<float>(32, 3.0f));
  GPU_CHECK(cuModuleUnload(fatbin));
}

/// A fatbin with one entry of PTX for sm_80, a block of LZ4.
std::string fatbinOfLz4(const std::string &block, size_t textBytes) {
  std::string image;
  auto put = [&](uint64_t value, int bytes) {
    for (; bytes > 0; --bytes, value >>= 8)
      image += static_cast<char>(value);
  };
  put(0xba55ed50, 4), put(1, 2), put(16, 2), put(64 + block.size(), 8);
  put(1, 2), put(0x101, 2), put(64, 4), put(block.size(), 8), put(block.size(), 4), put(0, 4);
  put(0, 2), put(8, 2), put(80, 4), put(0, 8); // version 8.0, for sm_80, without a name
  put(0x2011, 8), put(0, 8), put(textBytes, 8);
  return image + block;
}

/// The bytes that follow a length whose half of the token is 15.
std::string restOfLength(size_t rest) {
  return std::string(rest / 255, '\xff') + static_cast<char>(rest % 255);
}

// Older compilers compress by LZ4. A match that overlaps itself, and lengths of
// several bytes.
TEST_F(DriverApi, FatbinsOfLz4AreUnpacked) {
  std::string kernelText = "\n.version 8.0\n.target sm_80\n.address_size 64\n"
                           ".visible .entry three(.param .u64 out) {\n.reg .b64 %p;\n"
                           "ld.param.u64 %p, [out];\nst.global.u32 [%p], 3;\nret;\n}\n";
  constexpr size_t kDashes = 600;
  std::string block = "\x3f//-";       // three literals, and a match of 15 + 4 and more
  block += std::string("\x01\x00", 2); // one byte before
  block += restOfLength(kDashes - 1 - 4 - 15);
  block += '\xf0' + restOfLength(kernelText.size() - 15) + kernelText;
  std::string image = fatbinOfLz4(block, 2 + kDashes + kernelText.size());
  CUmodule fatbin;
  GPU_CHECK(cuModuleLoadData(&fatbin, image.data()));
  Buffer<unsigned> out(1);
  GPU_CHECK(launch(kernel(fatbin, "three"), {1}, {1}, 0, out.address));
  EXPECT_EQ(out.get(), std::vector<unsigned>{3});
  GPU_CHECK(cuModuleUnload(fatbin));

  std::string damaged = fatbinOfLz4(block, 3 + kDashes + kernelText.size());
  EXPECT_EQ(cuModuleLoadData(&fatbin, damaged.data()), CUDA_ERROR_INVALID_IMAGE);
}

TEST_F(DriverApi, UnknownInstructionsAreNamed) {
  CUmodule bad = loadText(".version 7.0\n.target sm_80\n.address_size 64\n"
                          ".visible .entry f() {\n  frobnicate.s32 1;\n}\n");
  CUfunction function;
  EXPECT_EQ(cuModuleGetFunction(&function, bad, "f"), CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(cuModuleGetFunction(&function, bad, "g"), CUDA_ERROR_NOT_FOUND);
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

TEST_F(DriverApi, MemoryIsDescribed) {
  CUdeviceptr base, address;
  size_t bytes, free, total;
  GPU_CHECK(cuMemAlloc_v2(&address, 1000));
  EXPECT_EQ(address % 256, 0u);
  GPU_CHECK(cuMemGetAddressRange_v2(&base, &bytes, address + 17));
  EXPECT_EQ(base, address);
  EXPECT_EQ(bytes, 1000u);
  GPU_CHECK(cuMemGetInfo_v2(&free, &total));
  EXPECT_LT(free, total);
  unsigned type;
  GPU_CHECK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
  EXPECT_EQ(type, unsigned(CU_MEMORYTYPE_DEVICE));
  EXPECT_EQ(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 12345),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemcpyHtoD_v2(address, &type, 1001), CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuMemFree_v2(address));
  EXPECT_EQ(cuMemFree_v2(address), CUDA_ERROR_INVALID_VALUE);
  EXPECT_NE(takeFindings().find("cuMemFree of what is no allocation"), std::string::npos);
  EXPECT_EQ(cuMemAlloc_v2(&address, total + 1), CUDA_ERROR_OUT_OF_MEMORY);
}

TEST_F(DriverApi, HostMemoryIsVisible) {
  void *host;
  GPU_CHECK(cuMemHostAlloc(&host, 32 * sizeof(int), 0));
  auto *values = static_cast<int *>(host);
  std::fill(values, values + 32, 5);
  CUdeviceptr device;
  GPU_CHECK(cuMemHostGetDevicePointer_v2(&device, host, 0));
  GPU_CHECK(increment(nullptr, device, 32));
  std::vector<int> own(32, 7);
  GPU_CHECK(cuMemHostRegister_v2(own.data(), 32 * sizeof(int), 0));
  EXPECT_EQ(cuMemHostRegister_v2(own.data(), 4, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  GPU_CHECK(increment(nullptr, reinterpret_cast<CUdeviceptr>(own.data()), 32));
  GPU_CHECK(cuCtxSynchronize());
  EXPECT_EQ(values[31], 6);
  EXPECT_EQ(own[31], 8);
  GPU_CHECK(cuMemHostUnregister(own.data()));
  GPU_CHECK(cuMemFreeHost(host));
}

TEST_F(DriverApi, TwoDimensionalCopies) {
  CUdeviceptr address;
  size_t pitch;
  GPU_CHECK(cuMemAllocPitch_v2(&address, &pitch, 10, 4, 4));
  EXPECT_EQ(pitch % 512, 0u);
  std::vector<char> from(40), to(40);
  for (int i = 0; i < 40; ++i)
    from[i] = static_cast<char>(i);
  auto copy = zeros<CUDA_MEMCPY2D>();
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = from.data();
  copy.srcPitch = 10;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = address;
  copy.dstPitch = pitch;
  copy.WidthInBytes = 10;
  copy.Height = 4;
  GPU_CHECK(cuMemcpy2D_v2(&copy));
  GPU_CHECK(cuMemsetD2D8_v2(address + 3, pitch, 99, 2, 4));
  std::swap(copy.srcMemoryType, copy.dstMemoryType);
  copy.srcDevice = address;
  copy.srcPitch = pitch;
  copy.dstHost = to.data();
  copy.dstPitch = 10;
  GPU_CHECK(cuMemcpy2D_v2(&copy));
  for (int i = 0; i < 40; ++i)
    EXPECT_EQ(to[i], i % 10 == 3 || i % 10 == 4 ? 99 : i);
  GPU_CHECK(cuMemFree_v2(address));
}

// A box of 3 × 2 × 2 bytes out of 5 × 4 × 3, to another place of such memory.
TEST_F(DriverApi, ThreeDimensionalCopies) {
  constexpr size_t kWidth = 5, kHeight = 4, kDepth = 3, kBytes = kWidth * kHeight * kDepth;
  std::vector<char> from(kBytes);
  std::iota(from.begin(), from.end(), 0);
  Buffer<char> device(std::vector<char>(kBytes, 99));
  auto copy = zeros<CUDA_MEMCPY3D>();
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = from.data();
  copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  copy.dstDevice = device.address;
  copy.srcPitch = copy.dstPitch = kWidth;
  copy.srcHeight = copy.dstHeight = kHeight;
  copy.srcXInBytes = 2, copy.srcY = 1, copy.srcZ = 1;
  copy.dstXInBytes = 1, copy.dstY = 2, copy.dstZ = 0;
  copy.WidthInBytes = 3, copy.Height = 2, copy.Depth = 2;
  GPU_CHECK(cuMemcpy3D_v2(&copy));
  std::vector<char> to = device.get();
  for (size_t z = 0; z < kDepth; ++z)
    for (size_t y = 0; y < kHeight; ++y)
      for (size_t x = 0; x < kWidth; ++x) {
        bool isInBox = x >= 1 && x < 4 && y >= 2 && z < 2;
        EXPECT_EQ(to[(z * kHeight + y) * kWidth + x],
                  isInBox ? from[((z + 1) * kHeight + y - 1) * kWidth + x + 1] : 99);
      }
  copy.Height = 4; // its last rows are beyond the memory
  copy.dstZ = 1;
  EXPECT_EQ(cuMemcpy3DAsync_v2(&copy, nullptr), CUDA_ERROR_INVALID_VALUE);
}

// The driver stages pageable memory: the program may reuse it at once.
TEST_F(DriverApi, PageableCopiesAreStaged) {
  Buffer<int> data(32);
  std::vector<int> source(32, 1);
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuMemcpyHtoDAsync_v2(data.address, source.data(), 128, stream));
  std::fill(source.begin(), source.end(), 2);
  GPU_CHECK(cuStreamSynchronize(stream));
  EXPECT_EQ(data.get(), std::vector<int>(32, 1));
  GPU_CHECK(cuStreamDestroy_v2(stream));
}

TEST_F(DriverApi, EventsOrderStreams) {
  Buffer<int> data(1000);
  data.clear();
  CUstream streams[2];
  CUevent event;
  for (CUstream &stream : streams)
    GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuEventCreate(&event, 0));
  for (int round = 0; round < 10; ++round) {
    GPU_CHECK(increment(streams[round % 2], data.address, 1000));
    GPU_CHECK(cuEventRecord(event, streams[round % 2]));
    GPU_CHECK(cuStreamWaitEvent(streams[1 - round % 2], event, 0));
  }
  GPU_CHECK(cuEventSynchronize(event));
  GPU_CHECK(cuEventQuery(event));
  EXPECT_EQ(data.get(), std::vector<int>(1000, 10));
  for (CUstream stream : streams)
    GPU_CHECK(cuStreamDestroy_v2(stream));
  GPU_CHECK(cuEventDestroy_v2(event));
}

// A kernel may wait for one of another stream: both are resident.
TEST_F(DriverApi, KernelsOfStreamsRunTogether) {
  Buffer<unsigned> flag(1);
  flag.clear();
  CUstream streams[2];
  for (CUstream &stream : streams)
    GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(single("wait", streams[0], flag.address));
  EXPECT_EQ(cuStreamQuery(streams[0]), CUDA_ERROR_NOT_READY);
  GPU_CHECK(single("raise", streams[1], flag.address));
  GPU_CHECK(cuStreamSynchronize(streams[0]));
  for (CUstream stream : streams)
    GPU_CHECK(cuStreamDestroy_v2(stream));
}

TEST_F(DriverApi, DefaultStreamWaitsForBlockingStreams) {
  Buffer<unsigned> flag(1);
  flag.clear();
  CUstream blocking, free;
  GPU_CHECK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  GPU_CHECK(cuStreamCreate(&free, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(single("wait", blocking, flag.address));
  Buffer<int> data(1);
  GPU_CHECK(cuMemsetD32Async(data.address, 1, 1, nullptr));
  EXPECT_EQ(cuStreamQuery(nullptr), CUDA_ERROR_NOT_READY);
  GPU_CHECK(single("raise", free, flag.address));
  GPU_CHECK(cuStreamSynchronize(nullptr));
  GPU_CHECK(cuStreamQuery(blocking));
  GPU_CHECK(cuStreamDestroy_v2(blocking));
  GPU_CHECK(cuStreamDestroy_v2(free));
}

TEST_F(DriverApi, StreamsWaitForValues) {
  Buffer<unsigned> flag(1);
  flag.clear();
  CUstream waiting, writing;
  GPU_CHECK(cuStreamCreate(&waiting, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuStreamCreate(&writing, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuStreamWaitValue32_v2(waiting, flag.address, 3, CU_STREAM_WAIT_VALUE_GEQ));
  EXPECT_EQ(cuStreamQuery(waiting), CUDA_ERROR_NOT_READY);
  GPU_CHECK(cuStreamWriteValue32_v2(writing, flag.address, 5, 0));
  GPU_CHECK(cuStreamSynchronize(waiting));
  GPU_CHECK(cuStreamDestroy_v2(waiting));
  GPU_CHECK(cuStreamDestroy_v2(writing));
}

TEST_F(DriverApi, HostFunctionsRunInOrder) {
  Buffer<int> data(32);
  data.clear();
  static std::atomic<int> calls;
  calls = 0;
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(increment(stream, data.address, 32));
  GPU_CHECK(cuLaunchHostFunc(
      stream, [](void *value) { calls += *static_cast<int *>(reinterpret_cast<void *>(value)); },
      reinterpret_cast<void *>(data.address)));
  GPU_CHECK(cuStreamSynchronize(stream));
  EXPECT_EQ(calls, 1); // it read what the kernel wrote
  GPU_CHECK(cuStreamDestroy_v2(stream));
}

TEST_F(DriverApi, GraphsRepeatWhatWasCaptured) {
  Buffer<int> data(100), copy(100);
  data.clear();
  CUstream stream, side;
  CUevent fork, join;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuEventCreate(&fork, 0));
  GPU_CHECK(cuEventCreate(&join, 0));
  GPU_CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  CUstreamCaptureStatus status;
  GPU_CHECK(cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  GPU_CHECK(increment(stream, data.address, 100));
  GPU_CHECK(cuEventRecord(fork, stream));
  GPU_CHECK(cuStreamWaitEvent(side, fork, 0));
  GPU_CHECK(cuMemsetD32Async(copy.address, 7, 100, side));
  GPU_CHECK(cuEventRecord(join, side));
  GPU_CHECK(cuStreamWaitEvent(stream, join, 0));
  GPU_CHECK(cuMemcpyDtoDAsync_v2(copy.address, data.address, 200, stream));
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CUgraph graph;
  GPU_CHECK(cuStreamEndCapture(stream, &graph));
  EXPECT_EQ(data.get(), std::vector<int>(100, 0)); // nothing has run
  size_t count = 0;
  GPU_CHECK(cuGraphGetNodes(graph, nullptr, &count));
  EXPECT_EQ(count, 3u);
  CUgraphExec exec;
  GPU_CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  for (int launch = 0; launch < 4; ++launch)
    GPU_CHECK(cuGraphLaunch(exec, stream));
  GPU_CHECK(cuStreamSynchronize(stream));
  EXPECT_EQ(data.get(), std::vector<int>(100, 4));
  std::vector<int> copied = copy.get();
  EXPECT_EQ(copied[49], 4);
  EXPECT_EQ(copied[50], 7);
  GPU_CHECK(cuGraphExecDestroy(exec));
  GPU_CHECK(cuGraphDestroy(graph));
  for (CUstream each : {stream, side})
    GPU_CHECK(cuStreamDestroy_v2(each));
}

TEST_F(DriverApi, GraphsCanBeUpdated) {
  Buffer<int> first(32), second(32);
  first.clear(), second.clear();
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  auto capture = [&](CUdeviceptr data, int times) {
    CUgraph graph = nullptr;
    EXPECT_EQ(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
    for (int time = 0; time < times; ++time)
      EXPECT_EQ(increment(stream, data, 32), CUDA_SUCCESS);
    EXPECT_EQ(cuStreamEndCapture(stream, &graph), CUDA_SUCCESS);
    return graph;
  };
  CUgraph one = capture(first.address, 1), same = capture(second.address, 1),
          longer = capture(second.address, 2);
  CUgraphExec exec;
  CUgraphExecUpdateResultInfo result;
  GPU_CHECK(cuGraphInstantiateWithFlags(&exec, one, 0));
  EXPECT_EQ(cuGraphExecUpdate_v2(exec, longer, &result), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
  EXPECT_EQ(result.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
  GPU_CHECK(cuGraphExecUpdate_v2(exec, same, &result));
  GPU_CHECK(cuGraphLaunch(exec, stream));
  GPU_CHECK(cuStreamSynchronize(stream));
  EXPECT_EQ(first.get()[0], 0);
  EXPECT_EQ(second.get()[0], 1);
  GPU_CHECK(cuGraphExecDestroy(exec));
  for (CUgraph graph : {one, same, longer})
    GPU_CHECK(cuGraphDestroy(graph));
  GPU_CHECK(cuStreamDestroy_v2(stream));
}

/// A graph that is made node by node, whose nodes then get other arguments.
TEST_F(DriverApi, GraphsOfKernelNodes) {
  Buffer<int> first(64), second(64);
  first.clear(), second.clear();
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr data = first.address;
  unsigned count = 64;
  void *arguments[] = {&data, &count};
  CUDA_KERNEL_NODE_PARAMS parameters{
      kernel(module, "increment"), 2, 1, 1, 32, 1, 1, 0, arguments, nullptr, nullptr, nullptr};
  CUgraph graph;
  CUgraphNode nodes[2], foreign = nullptr;
  CUgraphExec exec;
  GPU_CHECK(cuGraphCreate(&graph, 0));
  GPU_CHECK(cuGraphAddKernelNode_v2(&nodes[0], graph, nullptr, 0, &parameters));
  EXPECT_EQ(cuGraphAddKernelNode_v2(&nodes[1], graph, &foreign, 1, &parameters),
            CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuGraphAddKernelNode_v2(&nodes[1], graph, nodes, 1, &parameters));
  GPU_CHECK(cuGraphInstantiateWithFlags(&exec, graph, 0));
  GPU_CHECK(cuGraphLaunch(exec, stream));
  // What is set is what the next launch does; the one before keeps its own.
  data = second.address, count = 32, parameters.gridDimX = 1;
  GPU_CHECK(cuGraphExecKernelNodeSetParams_v2(exec, nodes[1], &parameters));
  EXPECT_EQ(cuGraphExecKernelNodeSetParams_v2(exec, foreign, &parameters),
            CUDA_ERROR_INVALID_VALUE);
  parameters.blockDimX = 2048;
  EXPECT_EQ(cuGraphExecKernelNodeSetParams_v2(exec, nodes[1], &parameters),
            CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuGraphLaunch(exec, stream));
  GPU_CHECK(cuStreamSynchronize(stream));
  EXPECT_EQ(first.get(), std::vector<int>(64, 3));
  std::vector<int> half(64);
  std::fill_n(half.begin(), 32, 1);
  EXPECT_EQ(second.get(), half);
  GPU_CHECK(cuGraphExecDestroy(exec));
  GPU_CHECK(cuGraphDestroy(graph));
  GPU_CHECK(cuStreamDestroy_v2(stream));
}

TEST_F(DriverApi, CapturesMustJoin) {
  Buffer<int> data(32);
  data.clear();
  CUstream stream, side;
  CUevent fork;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
  GPU_CHECK(cuEventCreate(&fork, 0));
  GPU_CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  GPU_CHECK(cuEventRecord(fork, stream));
  GPU_CHECK(cuStreamWaitEvent(side, fork, 0));
  GPU_CHECK(increment(side, data.address, 32));
  CUgraph graph;
  EXPECT_EQ(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  EXPECT_EQ(graph, nullptr);
  for (CUstream each : {stream, side})
    GPU_CHECK(cuStreamDestroy_v2(each));
}

TEST_F(DriverApi, StreamOrderedMemory) {
  CUstream stream;
  GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CUdeviceptr address;
  GPU_CHECK(cuMemAllocAsync(&address, 128, stream));
  GPU_CHECK(cuMemsetD32Async(address, 1, 32, stream));
  GPU_CHECK(increment(stream, address, 32));
  GPU_CHECK(cuMemFreeAsync(address, stream));
  GPU_CHECK(cuStreamSynchronize(stream));
  int value;
  EXPECT_EQ(cuMemcpyDtoH_v2(&value, address, 4), CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuStreamDestroy_v2(stream));
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
