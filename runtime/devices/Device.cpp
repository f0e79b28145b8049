#include "runtime/devices/Device.h"

namespace moec::runtime {
namespace {

struct DeviceEntry {
  const char *name;
  Status (*load)(const Model &, std::string_view, Weights &, std::unique_ptr<Program> &);
};

constexpr DeviceEntry kDevices[] = {
    {"cpu", loadCpuProgram},
    {"cuda", loadCudaProgram},
};

} // namespace

Status checkDevice(const std::string &name) {
  std::string names;
  for (const DeviceEntry &entry : kDevices) {
    if (name == entry.name)
      return {};
    names += std::string(names.empty() ? "" : ", ") + entry.name;
  }
  return failure(MOEC_INCOMPATIBLE, "there is no device '%s'; there are: %s", name.c_str(),
                 names.c_str());
}

Status loadProgram(const Model &model, std::string_view code, Weights &weights,
                   std::unique_ptr<Program> &program) {
  for (const DeviceEntry &entry : kDevices)
    if (model.device() == entry.name)
      return entry.load(model, code, weights, program);
  return checkDevice(model.device());
}

Status checkFailure(const Metadata &metadata, int32_t status, const Site *site) {
  size_t message = static_cast<size_t>(status) - 1;
  const char *text =
      message < metadata.messages.size() ? metadata.messages[message].c_str() : "a check failed";
  if (!site || site->name.empty())
    return failure(MOEC_EXECUTION_FAILED, "%s", text);
  return failure(MOEC_EXECUTION_FAILED, "node '%s': %s", site->name.c_str(), text);
}

} // namespace moec::runtime
