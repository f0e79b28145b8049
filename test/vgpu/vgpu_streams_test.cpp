// The order of streams: events, the default stream, values, functions of the host.
#include "DriverApi.h"

#include <atomic>

namespace {

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

} // namespace
