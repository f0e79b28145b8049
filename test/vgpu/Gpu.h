#pragma once
// A little of the driver API for tests, with every call checked.

#include "driver/cuda_driver.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

/// Fails the test if a call of the driver API does not succeed.
#define GPU_CHECK(call) ASSERT_EQ(call, CUDA_SUCCESS)

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

/// Device memory that is freed with its scope.
template <class T> class Buffer {
public:
  explicit Buffer(size_t count) : count(count) {
    EXPECT_EQ(cuMemAlloc_v2(&address, count * sizeof(T)), CUDA_SUCCESS);
  }
  explicit Buffer(const std::vector<T> &values) : Buffer(values.size()) { set(values); }
  ~Buffer() { cuMemFree_v2(address); }
  Buffer(const Buffer &) = delete;

  void set(const std::vector<T> &values) {
    EXPECT_EQ(cuMemcpyHtoD_v2(address, values.data(), values.size() * sizeof(T)), CUDA_SUCCESS);
  }
  void clear() { EXPECT_EQ(cuMemsetD8_v2(address, 0, count * sizeof(T)), CUDA_SUCCESS); }
  std::vector<T> get() const {
    std::vector<T> values(count);
    EXPECT_EQ(cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)), CUDA_SUCCESS);
    return values;
  }

  CUdeviceptr address = 0;
  const size_t count;
};

/// A context of its own for each test, which must end without findings unless
/// the test takes them.
class GpuTest : public testing::Test {
protected:
  void SetUp() override;
  void TearDown() override;

  /// The module of kernels/NAME.ptx.
  CUmodule load(const std::string &name);
  CUmodule loadText(const std::string &ptx);
  /// The kernel `name` of the module of the same name.
  CUfunction kernel(const std::string &name);
  static CUfunction kernel(CUmodule module, const std::string &name);

  /// Launches on the default stream; does not wait.
  template <class... Arguments>
  static CUresult launch(CUfunction function, Dim grid, Dim block, unsigned dynamicShared,
                         Arguments... arguments) {
    void *parameters[] = {static_cast<void *>(&arguments)..., nullptr};
    return cuLaunchKernel(function, grid.x, grid.y, grid.z, block.x, block.y, block.z,
                          dynamicShared, nullptr, parameters, nullptr);
  }

  /// As JSON, and forgotten.
  static std::string takeFindings();

  CUcontext context = nullptr;

private:
  std::vector<CUmodule> modules;
};
