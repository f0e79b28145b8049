#include "runtime/devices/CudaGpu.h"

#include <cstdlib>
#include <cstring>

namespace moec::runtime::cuda {

Gpu::~Gpu() {
  if (context)
    driver->contextRelease(ordinal);
}

Status Gpu::open() {
  if (Status error = Driver::find(driver))
    return error;
  int count = 0;
  if (Status error = driver->check(driver->deviceCount(&count), "count the GPUs"))
    return error;
  if (count == 0)
    return failure(MOEC_INCOMPATIBLE, "there is no GPU: CUDA's driver lists none");
  if (Status error = driver->check(driver->deviceGet(&ordinal, 0), "find the first GPU"))
    return error;
  driver->deviceName(name, sizeof name, ordinal);
  capability = 10 * attribute(kComputeCapabilityMajor) + attribute(kComputeCapabilityMinor);
  return driver->check(driver->contextRetain(&context, ordinal), "create a CUDA context");
}

bool Gpu::executes(const DeviceCode &code) const {
  bool isPtx = code.kind == "ptx";
  if ((!isPtx && code.kind != "cubin") || code.chip.rfind("sm_", 0) != 0)
    return false;
  char *end = nullptr;
  long wanted = std::strtol(code.chip.c_str() + 3, &end, 10);
  bool isForLater = isPtx && *end != 'a';
  return isForLater ? capability >= wanted : capability == wanted;
}

int Gpu::attribute(Attribute attribute) const {
  int value = 0;
  driver->deviceAttribute(&value, attribute, ordinal);
  return value;
}

LoadedModule::~LoadedModule() {
  if (!module)
    return;
  gpu.enter();
  gpu.driver->moduleUnload(module);
}

Status LoadedModule::load(const char *image) {
  char log[4096] = "";
  Attribute names[] = {kJitErrorLog, kJitErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  Result result = gpu.driver->moduleLoad(&module, image, 2, names, values);
  if (result == kSuccess)
    return {};
  log[std::strcspn(log, "\n")] = '\0';
  std::string what = std::string("load the kernels") + (*log ? ": " : "") + log;
  return gpu.driver->check(result, what.c_str());
}

Status LoadedModule::find(const char *name, int64_t shared, Function &function) const {
  std::string what = std::string("find the kernel ") + name;
  if (Status error =
          gpu.driver->check(gpu.driver->moduleFunction(&function, module, name), what.c_str()))
    return error;
  constexpr int64_t kSharedByDefault = 48 << 10;
  if (shared <= kSharedByDefault)
    return {};
  return gpu.driver->check(
      gpu.driver->functionSetAttribute(function, kMaxDynamicSharedMemory, static_cast<int>(shared)),
      "reserve a kernel's shared memory");
}

} // namespace moec::runtime::cuda
