#include "runtime/devices/Device.h"

namespace moec::runtime {
namespace {

struct DeviceEntry {
  const char *name;
  Status (*create)(const Model &, const moec_session_options &, std::unique_ptr<Device> &);
};

constexpr DeviceEntry kDevices[] = {
    {"cpu", createCpuDevice},
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

Status createDevice(const Model &model, const moec_session_options &options,
                    std::unique_ptr<Device> &device) {
  for (const DeviceEntry &entry : kDevices)
    if (model.device() == entry.name)
      return entry.create(model, options, device);
  return checkDevice(model.device());
}

} // namespace moec::runtime
