// Memory and events that two processes share, which tell each other what they need
// through a pair of sockets.
#include "DriverApi.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

/// A message of one byte, with room for a descriptor.
struct DescriptorMessage {
  DescriptorMessage() {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
};

/// What a process says to the other one.
class Line {
public:
  explicit Line(int socket) : socket(socket) {}
  template <class T> void send(const T &value) const {
    ASSERT_EQ(write(socket, &value, sizeof value), ssize_t{sizeof value});
  }
  template <class T> T receive() const {
    T value{};
    EXPECT_EQ(recv(socket, &value, sizeof value, MSG_WAITALL), ssize_t{sizeof value});
    return value;
  }
  /// It is another number in the process that receives it.
  void sendDescriptor(int descriptor) const {
    DescriptorMessage message;
    cmsghdr *header = CMSG_FIRSTHDR(&message.header);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    ASSERT_EQ(sendmsg(socket, &message.header, 0), 1);
  }
  int receiveDescriptor() const {
    DescriptorMessage message;
    EXPECT_EQ(recvmsg(socket, &message.header, 0), 1);
    int descriptor = -1;
    if (const cmsghdr *header = CMSG_FIRSTHDR(&message.header))
      std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
  }

private:
  int socket;
};

/// Runs both in processes of their own, which must succeed.
class Processes : public DriverApi {
protected:
  // This process never calls the driver, whose threads no child would have.
  void SetUp() override {}
  void TearDown() override {}
  /// In a child.
  void openDriver() { DriverApi::SetUp(); }

  template <class First, class Second> void run(First first, Second second) {
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    auto start = [&](auto body, int own, int other) {
      pid_t child = fork();
      if (child == 0) {
        close(other);
        openDriver();
        body(Line(own));
        DriverApi::TearDown();
        std::fflush(nullptr);
        _exit(HasFailure() ? 1 : 0);
      }
      return child;
    };
    const pid_t children[] = {start(first, sockets[0], sockets[1]),
                              start(second, sockets[1], sockets[0])};
    close(sockets[0]);
    close(sockets[1]);
    for (pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    }
  }
};

// The second process adds 1 to what the first has exported, and the first sees it. The
// neighbours of what is exported, in the same page, keep what they hold.
TEST_F(Processes, ShareAllocations) {
  run(
      [&](const Line &line) {
        Buffer<int> before(std::vector<int>(16, 1)), data(std::vector<int>(3000, 41)),
            after(std::vector<int>(16, 2));
        CUipcMemHandle handle, again;
        GPU_CHECK(cuIpcGetMemHandle(&handle, data.address));
        GPU_CHECK(cuIpcGetMemHandle(&again, data.address + 400));
        EXPECT_EQ(std::memcmp(&handle, &again, sizeof handle), 0);
        CUdeviceptr opened;
        EXPECT_EQ(cuIpcOpenMemHandle_v2(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
                  CUDA_ERROR_INVALID_CONTEXT);
        line.send(handle);
        EXPECT_EQ(line.receive<int>(), 1);
        EXPECT_EQ(data.get(), std::vector<int>(3000, 42));
        GPU_CHECK(increment(nullptr, data.address, 3000));
        EXPECT_EQ(data.get(), std::vector<int>(3000, 43));
        line.send(2);
        EXPECT_EQ(line.receive<int>(), 3);
        EXPECT_EQ(before.get(), std::vector<int>(16, 1));
        EXPECT_EQ(after.get(), std::vector<int>(16, 2));
      },
      [&](const Line &line) {
        auto handle = line.receive<CUipcMemHandle>();
        CUdeviceptr address, same;
        EXPECT_EQ(cuIpcOpenMemHandle_v2(&address, handle, 0), CUDA_ERROR_INVALID_VALUE);
        GPU_CHECK(cuIpcOpenMemHandle_v2(&address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        GPU_CHECK(cuIpcOpenMemHandle_v2(&same, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        EXPECT_EQ(address, same);
        GPU_CHECK(increment(nullptr, address, 3000));
        GPU_CHECK(cuCtxSynchronize());
        line.send(1);
        EXPECT_EQ(line.receive<int>(), 2);
        std::vector<int> values(3000);
        GPU_CHECK(cuMemcpyDtoH_v2(values.data(), address, 12000));
        EXPECT_EQ(values, std::vector<int>(3000, 43));
        GPU_CHECK(cuIpcCloseMemHandle(address));
        GPU_CHECK(cuMemcpyDtoH_v2(values.data(), address, 4)); // it was opened twice
        GPU_CHECK(cuIpcCloseMemHandle(address));
        EXPECT_EQ(cuIpcCloseMemHandle(address), CUDA_ERROR_INVALID_VALUE);
        EXPECT_EQ(cuMemcpyDtoH_v2(values.data(), address, 4), CUDA_ERROR_INVALID_VALUE);
        line.send(3);
      });
}

// Allocations that are exported one after the other may lie in one page.
TEST_F(Processes, ShareNeighbours) {
  run(
      [&](const Line &line) {
        Buffer<int> first(std::vector<int>(8, 10)), second(std::vector<int>(8, 20));
        for (const Buffer<int> *data : {&first, &second}) {
          CUipcMemHandle handle;
          GPU_CHECK(cuIpcGetMemHandle(&handle, data->address));
          line.send(handle);
        }
        EXPECT_EQ(line.receive<int>(), 1);
        EXPECT_EQ(first.get(), std::vector<int>(8, 11));
        EXPECT_EQ(second.get(), std::vector<int>(8, 21));
      },
      [&](const Line &line) {
        for (int number = 0; number < 2; ++number) {
          CUdeviceptr address;
          GPU_CHECK(cuIpcOpenMemHandle_v2(&address, line.receive<CUipcMemHandle>(),
                                          CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
          GPU_CHECK(increment(nullptr, address, 8));
          // There is no more than was exported.
          EXPECT_EQ(cuMemsetD8_v2(address, 0, 33), CUDA_ERROR_INVALID_VALUE);
        }
        GPU_CHECK(cuCtxSynchronize());
        line.send(1);
      });
}

// The second process waits for an event that the first records, and the other way round.
TEST_F(Processes, ShareEvents) {
  run(
      [&](const Line &line) {
        CUevent event;
        CUipcEventHandle handle;
        EXPECT_EQ(cuEventCreate(&event, CU_EVENT_INTERPROCESS), CUDA_ERROR_INVALID_VALUE);
        GPU_CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
        EXPECT_EQ(cuIpcGetEventHandle(&handle, event), CUDA_ERROR_INVALID_VALUE);
        GPU_CHECK(cuEventDestroy_v2(event));
        GPU_CHECK(cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
        GPU_CHECK(cuIpcGetEventHandle(&handle, event));
        Buffer<unsigned> flag(1), data(std::vector<unsigned>(8, 0));
        flag.clear();
        CUipcMemHandle memory;
        GPU_CHECK(cuIpcGetMemHandle(&memory, data.address));
        CUstream stream, other;
        GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        GPU_CHECK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
        GPU_CHECK(single("wait", stream, flag.address));
        GPU_CHECK(increment(stream, data.address, 8));
        GPU_CHECK(cuEventRecord(event, stream));
        EXPECT_EQ(cuEventQuery(event), CUDA_ERROR_NOT_READY);
        line.send(handle);
        line.send(memory);
        EXPECT_EQ(line.receive<int>(), 1); // it waits
        GPU_CHECK(single("raise", other, flag.address));
        EXPECT_EQ(line.receive<int>(), 2); // it has recorded the event too
        GPU_CHECK(cuStreamWaitEvent(stream, event, 0));
        GPU_CHECK(increment(stream, data.address, 8));
        GPU_CHECK(cuStreamSynchronize(stream));
        GPU_CHECK(cuEventSynchronize(event));
        EXPECT_EQ(data.get(), std::vector<unsigned>(8, 3));
        for (CUstream each : {stream, other})
          GPU_CHECK(cuStreamDestroy_v2(each));
        GPU_CHECK(cuEventDestroy_v2(event));
        line.send(3);
      },
      [&](const Line &line) {
        CUevent event;
        GPU_CHECK(cuIpcOpenEventHandle(&event, line.receive<CUipcEventHandle>()));
        CUdeviceptr data;
        GPU_CHECK(cuIpcOpenMemHandle_v2(&data, line.receive<CUipcMemHandle>(),
                                        CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        EXPECT_EQ(cuEventQuery(event), CUDA_ERROR_NOT_READY);
        CUstream stream;
        GPU_CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        GPU_CHECK(cuStreamWaitEvent(stream, event, 0));
        GPU_CHECK(increment(stream, data, 8));
        EXPECT_EQ(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
        GPU_CHECK(cuEventRecord(event, stream));
        line.send(1);
        GPU_CHECK(cuEventSynchronize(event));
        int value;
        GPU_CHECK(cuMemcpyDtoH_v2(&value, data, 4));
        EXPECT_EQ(value, 2);
        line.send(2);
        EXPECT_EQ(line.receive<int>(), 3);
        GPU_CHECK(cuIpcCloseMemHandle(data));
        GPU_CHECK(cuStreamDestroy_v2(stream));
        GPU_CHECK(cuEventDestroy_v2(event));
      });
}

// Physical memory goes to the other process as a descriptor of a file.
TEST_F(Processes, SharePhysicalMemory) {
  constexpr size_t kBytes = size_t{2} << 20;
  CUmemAccessDesc access{{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  auto map = [&](CUmemGenericAllocationHandle handle) {
    CUdeviceptr address = 0;
    EXPECT_EQ(cuMemAddressReserve(&address, kBytes, 0, 0, 0), CUDA_SUCCESS);
    EXPECT_EQ(cuMemMap(address, kBytes, 0, handle, 0), CUDA_SUCCESS);
    EXPECT_EQ(cuMemSetAccess(address, kBytes, &access, 1), CUDA_SUCCESS);
    return address;
  };
  auto unmap = [&](CUdeviceptr address, CUmemGenericAllocationHandle handle) {
    GPU_CHECK(cuMemUnmap(address, kBytes));
    GPU_CHECK(cuMemAddressFree(address, kBytes));
    GPU_CHECK(cuMemRelease(handle));
  };
  run(
      [&](const Line &line) {
        auto wanted = zeros<CUmemAllocationProp>();
        wanted.type = CU_MEM_ALLOCATION_TYPE_PINNED;
        wanted.location = access.location;
        wanted.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
        CUmemGenericAllocationHandle handle;
        GPU_CHECK(cuMemCreate(&handle, kBytes, &wanted, 0));
        CUdeviceptr address = map(handle);
        int descriptor;
        GPU_CHECK(cuMemExportToShareableHandle(&descriptor, handle,
                                               CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
        line.sendDescriptor(descriptor);
        close(descriptor);
        EXPECT_EQ(line.receive<int>(), 1);
        int value; // nobody here has written it
        GPU_CHECK(cuMemcpyDtoH_v2(&value, address + 4 * 31, 4));
        EXPECT_EQ(value, 9);
        unmap(address, handle);
      },
      [&](const Line &line) {
        int descriptor = line.receiveDescriptor();
        CUmemGenericAllocationHandle handle;
        GPU_CHECK(cuMemImportFromShareableHandle(
            &handle, reinterpret_cast<void *>(static_cast<intptr_t>(descriptor)),
            CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
        close(descriptor);
        CUdeviceptr address = map(handle);
        GPU_CHECK(cuMemsetD32_v2(address, 8, 32));
        GPU_CHECK(increment(nullptr, address, 32));
        GPU_CHECK(cuCtxSynchronize());
        line.send(1);
        unmap(address, handle);
      });
}

// A handle whose process is gone, or that is none, is no crash.
TEST_F(Processes, LostHandlesAreRefused) {
  run(
      [&](const Line &line) {
        auto handle = line.receive<CUipcMemHandle>();
        CUdeviceptr address;
        EXPECT_EQ(line.receive<int>(), 1);
        while (cuIpcOpenMemHandle_v2(&address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) ==
               CUDA_SUCCESS) {
          GPU_CHECK(cuIpcCloseMemHandle(address)); // it is about to end
          usleep(1000);
        }
        EXPECT_EQ(cuIpcOpenMemHandle_v2(&address, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
                  CUDA_ERROR_INVALID_HANDLE);
        auto nothing = zeros<CUipcMemHandle>();
        EXPECT_EQ(cuIpcOpenMemHandle_v2(&address, nothing, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
                  CUDA_ERROR_INVALID_HANDLE);
        CUevent event;
        EXPECT_EQ(cuIpcOpenEventHandle(&event, zeros<CUipcEventHandle>()),
                  CUDA_ERROR_INVALID_HANDLE);
      },
      [&](const Line &line) {
        Buffer<int> data(std::vector<int>(32, 0));
        CUipcMemHandle handle;
        GPU_CHECK(cuIpcGetMemHandle(&handle, data.address));
        line.send(handle);
        line.send(1);
      });
}

// What a process leaves behind is reported when it ends.
TEST_F(Processes, LeftoversAreReported) {
  std::string path = testing::TempDir() + "/leftovers.json";
  pid_t child = fork();
  if (child == 0) {
    setenv("VGPU_REPORT", path.c_str(), 1);
    openDriver(); // with a module
    CUdeviceptr address;
    CUstream stream;
    CUmemGenericAllocationHandle physical;
    auto wanted = zeros<CUmemAllocationProp>();
    wanted.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    wanted.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    bool isMade = cuMemAlloc_v2(&address, 1000) == CUDA_SUCCESS &&
                  cuStreamCreate(&stream, 0) == CUDA_SUCCESS &&
                  cuMemCreate(&physical, size_t{2} << 20, &wanted, 0) == CUDA_SUCCESS;
    exit(isMade ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  std::ifstream file(path);
  std::stringstream report;
  report << file.rdbuf();
  for (const char *left :
       {"1 allocations of 1000 bytes were never freed", "1 streams were never destroyed",
        "1 modules were never unloaded", "1 pieces of physical memory were never released"})
    EXPECT_NE(report.str().find(left), std::string::npos) << report.str();
}

} // namespace
