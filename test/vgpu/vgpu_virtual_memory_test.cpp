// Virtual memory management: reserved addresses, physical memory, who may access what.
#include "DriverApi.h"

#include <array>
#include <cstdlib>
#include <unistd.h>

namespace {

class VirtualMemory : public DriverApi {
protected:
  void SetUp() override {
    setenv("VGPU_DEVICE_COUNT", "2", 1);
    DriverApi::SetUp();
  }

  static constexpr size_t kPiece = size_t{2} << 20;
  static constexpr unsigned kInts = kPiece / sizeof(int);

  static CUmemAllocationProp properties(bool isShareable = false) {
    auto wanted = zeros<CUmemAllocationProp>();
    wanted.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    wanted.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    wanted.requestedHandleTypes =
        isShareable ? CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR : CU_MEM_HANDLE_TYPE_NONE;
    return wanted;
  }
  static CUmemGenericAllocationHandle create(bool isShareable = false) {
    CUmemGenericAllocationHandle handle = 0;
    CUmemAllocationProp wanted = properties(isShareable);
    EXPECT_EQ(cuMemCreate(&handle, kPiece, &wanted, 0), CUDA_SUCCESS);
    return handle;
  }
  static CUdeviceptr reserve(size_t pieces) {
    CUdeviceptr address = 0;
    EXPECT_EQ(cuMemAddressReserve(&address, pieces * kPiece, 0, 0, 0), CUDA_SUCCESS);
    return address;
  }
  static CUresult allow(CUdeviceptr address, size_t pieces, CUmemAccess_flags flags) {
    CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0}, flags};
    return cuMemSetAccess(address, pieces * kPiece, &access, 1);
  }
  static std::vector<int> read(CUdeviceptr address, unsigned count) {
    std::vector<int> values(count);
    EXPECT_EQ(cuMemcpyDtoH_v2(values.data(), address, count * sizeof(int)), CUDA_SUCCESS);
    return values;
  }
};

constexpr CUmemAccess_flags kReadWrite = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;

// Two pieces side by side are one range for kernels and copies.
TEST_F(VirtualMemory, PiecesMakeOneRange) {
  size_t granularity;
  CUmemAllocationProp wanted = properties();
  GPU_CHECK(
      cuMemGetAllocationGranularity(&granularity, &wanted, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
  EXPECT_EQ(granularity, kPiece);
  size_t before, during, total;
  GPU_CHECK(cuMemGetInfo_v2(&before, &total));
  CUdeviceptr address = reserve(3);
  std::array pieces{create(), create()};
  GPU_CHECK(cuMemGetInfo_v2(&during, &total));
  EXPECT_EQ(before - during, 2 * kPiece);
  for (size_t piece = 0; piece < 2; ++piece) {
    GPU_CHECK(cuMemMap(address + piece * kPiece, kPiece, 0, pieces[piece], 0));
    GPU_CHECK(allow(address + piece * kPiece, 1, kReadWrite));
    GPU_CHECK(cuMemRelease(pieces[piece])); // it is mapped still
  }
  GPU_CHECK(cuMemsetD32Async(address, 5, 2 * kInts, nullptr));
  GPU_CHECK(increment(nullptr, address + kPiece - 256, 128)); // 64 of each
  std::vector<int> values = read(address + kPiece - 512, 256);
  for (size_t index = 0; index < values.size(); ++index)
    EXPECT_EQ(values[index], index >= 64 && index < 192 ? 6 : 5) << index;
  GPU_CHECK(cuMemUnmap(address, 2 * kPiece));
  GPU_CHECK(cuMemAddressFree(address, 3 * kPiece));
  GPU_CHECK(cuMemGetInfo_v2(&during, &total));
  EXPECT_EQ(during, before);
}

TEST_F(VirtualMemory, AddressesAreForWhatIsAllowed) {
  CUdeviceptr address = reserve(1);
  CUmemGenericAllocationHandle piece = create();
  int value = 1;
  EXPECT_EQ(cuMemcpyHtoD_v2(address, &value, 4), CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuMemMap(address, kPiece, 0, piece, 0));
  EXPECT_EQ(cuMemcpyHtoD_v2(address, &value, 4), CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(allow(address, 1, kReadWrite));
  GPU_CHECK(cuMemcpyHtoD_v2(address, &value, 4));
  unsigned long long flags;
  CUmemLocation here{CU_MEM_LOCATION_TYPE_DEVICE, 0};
  GPU_CHECK(cuMemGetAccess(&flags, &here, address + 100));
  EXPECT_EQ(flags, kReadWrite);
  GPU_CHECK(allow(address, 1, CU_MEM_ACCESS_FLAGS_PROT_READ));
  GPU_CHECK(increment(nullptr, address, 1));
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_NE(takeFindings().find("read-only"), std::string::npos);
  GPU_CHECK(cuMemUnmap(address, kPiece));
  GPU_CHECK(cuMemAddressFree(address, kPiece));
  GPU_CHECK(cuMemRelease(piece));
}

// What was never written is told from what was, also after other memory was there.
TEST_F(VirtualMemory, NewMemoryIsUninitialized) {
  CUdeviceptr address = reserve(1);
  for (int time = 0; time < 2; ++time) {
    CUmemGenericAllocationHandle piece = create();
    GPU_CHECK(cuMemMap(address, kPiece, 0, piece, 0));
    GPU_CHECK(allow(address, 1, kReadWrite));
    GPU_CHECK(increment(nullptr, address, 1));
    GPU_CHECK(cuCtxSynchronize());
    EXPECT_NE(takeFindings().find("uninitialized"), std::string::npos);
    EXPECT_EQ(read(address, 1)[0], 1);
    GPU_CHECK(cuMemUnmap(address, kPiece));
    GPU_CHECK(cuMemRelease(piece));
  }
  GPU_CHECK(cuMemAddressFree(address, kPiece));
}

TEST_F(VirtualMemory, MemoryKeepsItsContentWhereverItIsMapped) {
  CUdeviceptr addresses = reserve(2);
  CUmemGenericAllocationHandle piece = create(), same;
  for (CUdeviceptr address : {addresses, addresses + kPiece})
    GPU_CHECK(cuMemMap(address, kPiece, 0, piece, 0));
  GPU_CHECK(allow(addresses, 2, kReadWrite));
  GPU_CHECK(cuMemsetD32Async(addresses, 7, kInts, nullptr));
  GPU_CHECK(increment(nullptr, addresses + kPiece, 32));
  EXPECT_EQ(read(addresses, 32), std::vector<int>(32, 8));
  GPU_CHECK(cuMemRetainAllocationHandle(&same, reinterpret_cast<void *>(addresses + 4)));
  EXPECT_EQ(same, piece);
  GPU_CHECK(cuMemRelease(same));
  GPU_CHECK(cuMemUnmap(addresses, 2 * kPiece));
  GPU_CHECK(cuMemMap(addresses, kPiece, 0, piece, 0));
  GPU_CHECK(allow(addresses, 1, CU_MEM_ACCESS_FLAGS_PROT_READ));
  EXPECT_EQ(read(addresses, 33).back(), 7);
  GPU_CHECK(cuMemUnmap(addresses, kPiece));
  GPU_CHECK(cuMemRelease(piece));
  EXPECT_EQ(cuMemRelease(piece), CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuMemAddressFree(addresses, 2 * kPiece));
}

TEST_F(VirtualMemory, DescriptorsCarryMemory) {
  CUdeviceptr addresses = reserve(2);
  CUmemGenericAllocationHandle own = create(), shareable = create(true), imported;
  int descriptor = -1;
  EXPECT_EQ(
      cuMemExportToShareableHandle(&descriptor, own, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
      CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuMemExportToShareableHandle(&descriptor, shareable,
                                         CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  auto import = [&](int number) {
    return cuMemImportFromShareableHandle(&imported,
                                          reinterpret_cast<void *>(static_cast<intptr_t>(number)),
                                          CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
  };
  EXPECT_EQ(import(STDIN_FILENO), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(import(9999), CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(import(descriptor));
  close(descriptor);
  GPU_CHECK(cuMemMap(addresses, kPiece, 0, shareable, 0));
  GPU_CHECK(cuMemMap(addresses + kPiece, kPiece, 0, imported, 0));
  GPU_CHECK(allow(addresses, 2, kReadWrite));
  GPU_CHECK(cuMemsetD32Async(addresses, 3, 32, nullptr));
  GPU_CHECK(increment(nullptr, addresses + kPiece, 32));
  EXPECT_EQ(read(addresses, 32), std::vector<int>(32, 4));
  auto told = zeros<CUmemAllocationProp>();
  GPU_CHECK(cuMemGetAllocationPropertiesFromHandle(&told, imported));
  EXPECT_EQ(told.requestedHandleTypes, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
  EXPECT_EQ(told.location.id, 0);
  GPU_CHECK(cuMemUnmap(addresses, 2 * kPiece));
  for (CUmemGenericAllocationHandle handle : {own, shareable, imported})
    GPU_CHECK(cuMemRelease(handle));
  GPU_CHECK(cuMemAddressFree(addresses, 2 * kPiece));
}

TEST_F(VirtualMemory, WrongRangesAreRefused) {
  CUdeviceptr address = reserve(2), other;
  CUmemGenericAllocationHandle piece = create(), large;
  CUmemAllocationProp wanted = properties();
  EXPECT_EQ(cuMemAddressReserve(&other, 4096, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemAddressReserve(&other, kPiece, 3, 0, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemAddressReserve(&other, size_t{1} << 40, 0, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(cuMemCreate(&large, 4096, &wanted, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemCreate(&large, size_t{1} << 40, &wanted, 0), CUDA_ERROR_OUT_OF_MEMORY);
  wanted.location.id = 5;
  EXPECT_EQ(cuMemCreate(&large, kPiece, &wanted, 0), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(cuMemMap(address, 2 * kPiece, 0, piece, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemMap(address + 4096, kPiece, 0, piece, 0), CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuMemMap(address, kPiece, 0, piece, 0));
  EXPECT_EQ(cuMemMap(address, kPiece, 0, piece, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(allow(address, 2, kReadWrite), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemUnmap(address, 2 * kPiece), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemAddressFree(address, 2 * kPiece), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemFree_v2(address), CUDA_ERROR_INVALID_VALUE);
  takeFindings(); // cuMemFree of what is no allocation
  GPU_CHECK(cuMemUnmap(address, kPiece));
  EXPECT_EQ(cuMemAddressFree(address, kPiece), CUDA_ERROR_INVALID_VALUE);
  GPU_CHECK(cuMemAddressFree(address, 2 * kPiece));
  GPU_CHECK(cuMemRelease(piece));
}

// Devices do not access each other's memory, however it is asked for.
TEST_F(VirtualMemory, PeersAreRefused) {
  CUcontext other;
  GPU_CHECK(cuCtxCreate_v2(&other, 0, 1));
  CUdeviceptr address = reserve(1);
  CUmemGenericAllocationHandle piece = create(), ofOther;
  CUmemAllocationProp wanted = properties();
  wanted.location.id = 1;
  GPU_CHECK(cuMemCreate(&ofOther, kPiece, &wanted, 0));
  EXPECT_EQ(cuMemMap(address, kPiece, 0, piece, 0), CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
  GPU_CHECK(cuMemMap(address, kPiece, 0, ofOther, 0));
  CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0}, kReadWrite};
  EXPECT_EQ(cuMemSetAccess(address, kPiece, &access, 1), CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
  access.location.id = 1;
  GPU_CHECK(cuMemSetAccess(address, kPiece, &access, 1));
  GPU_CHECK(cuMemsetD32_v2(address, 5, 8));
  EXPECT_EQ(read(address, 8), std::vector<int>(8, 5));
  EXPECT_EQ(cuCtxEnablePeerAccess(context, 0), CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
  EXPECT_EQ(cuCtxEnablePeerAccess(other, 0), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(cuCtxDisablePeerAccess(context), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
  int can = 1;
  GPU_CHECK(cuDeviceCanAccessPeer(&can, 0, 1));
  EXPECT_EQ(can, 0);
  can = 1;
  GPU_CHECK(cuDeviceGetP2PAttribute(&can, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 0, 1));
  EXPECT_EQ(can, 0);
  EXPECT_EQ(cuDeviceGetP2PAttribute(&can, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, 0, 0),
            CUDA_ERROR_INVALID_DEVICE);
  GPU_CHECK(cuMemUnmap(address, kPiece));
  GPU_CHECK(cuMemAddressFree(address, kPiece));
  for (CUmemGenericAllocationHandle handle : {piece, ofOther})
    GPU_CHECK(cuMemRelease(handle));
  GPU_CHECK(cuCtxDestroy_v2(other));
}

} // namespace
