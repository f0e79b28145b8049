//===- Device.h - what executes kernels ------------------------------------===//
#pragma once

#include "runtime/Model.h"
#include "runtime/Trace.h"

namespace moec::runtime {

/// One launch, as moec_services.launch gives it.
struct Launch {
  int32_t site;
  uint64_t *arguments;
  int64_t words, grid;
};

/// A session's access to what executes its kernels. Host code always runs on
/// the CPU; pointers that it passes on are the device's.
class Device {
public:
  virtual ~Device() = default;

  /// Threads that record into a trace.
  virtual int threads() const = 0;
  /// Begins a kernel; fills word 0 of the arguments. A device that executes
  /// later copies them. Returns the number that a failed check has left (see
  /// moec_services.launch), as far as that is known without waiting, or 0.
  virtual int32_t launch(const Launch &launch, Trace &trace) = 0;
  /// Waits for everything launched, and forgets failures; returns as launch.
  virtual int32_t finish() = 0;
};

/// Fails, with the names of those that exist, when no device has that name.
Status checkDevice(const std::string &name);

/// Creates a session's device; checkDevice has accepted the model's.
Status createDevice(const Model &model, const moec_session_options &options,
                    std::unique_ptr<Device> &device);

/// Devices that exist, each in its own file.
Status createCpuDevice(const Model &model, const moec_session_options &options,
                       std::unique_ptr<Device> &device);

} // namespace moec::runtime
