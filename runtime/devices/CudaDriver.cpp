#include "runtime/devices/CudaDriver.h"

#include <algorithm>
#include <dlfcn.h>

namespace moec::runtime::cuda {
namespace {

struct Found {
  Driver driver;
  Status error;

  Found() { error = open(); }

private:
  Status open() {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
      return failure(MOEC_INCOMPATIBLE,
                     "there is no CUDA driver (%s); without a GPU, run the same command under "
                     "tools/vgpu/run, the virtual GPU",
                     dlerror());
#define MOEC_CUDA_FIND(symbol, name, parameters)                                                   \
  driver.name = reinterpret_cast<decltype(driver.name)>(dlsym(library, #symbol));                  \
  if (!driver.name)                                                                                \
    return failure(MOEC_INCOMPATIBLE, "the CUDA driver is too old: it has no " #symbol);
    MOEC_CUDA_FUNCTIONS(MOEC_CUDA_FIND)
#undef MOEC_CUDA_FIND
    Status error = driver.check(driver.init(0), "initialise CUDA");
    return error ? Status(MOEC_INCOMPATIBLE, error.message()) : error;
  }
};

/// What a kernel did wrong, which all later calls return as well.
bool isFault(Result result) {
  constexpr Result kFaults[] = {
      700, // illegal address
      702, // timeout
      710, // assertion
      714, // stack
      715, // illegal instruction
      716, // misaligned address
      717, // address space
      718, // program counter
      719, // anything else
  };
  return std::find(std::begin(kFaults), std::end(kFaults), result) != std::end(kFaults);
}

} // namespace

Status Driver::find(const Driver *&driver) {
  static const Found found;
  driver = &found.driver;
  return found.error;
}

Status Driver::check(Result result, const char *what) const {
  if (result == kSuccess)
    return {};
  const char *name = nullptr, *text = nullptr;
  errorName(result, &name);
  errorString(result, &text);
  return failure(result == kOutOfMemory ? MOEC_OUT_OF_MEMORY : MOEC_EXECUTION_FAILED,
                 "cannot %s: %s (%s)%s", what, text ? text : "unknown error", name ? name : "?",
                 isFault(result) ? "; a kernel has failed, and nothing runs on the GPU any more in "
                                   "this process"
                                 : "");
}

} // namespace moec::runtime::cuda
