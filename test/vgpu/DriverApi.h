#pragma once
// A context with a few small kernels, for tests of the driver API.

#include "Gpu.h"

#include <cstring>

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
