// Memory of the device and of the host, and copies between them.
#include "DriverApi.h"

#include <numeric>

namespace {

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

} // namespace
