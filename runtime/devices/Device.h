//===- Device.h - what executes kernels ------------------------------------===//
#pragma once

#include "runtime/Memory.h"
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
  /// Where kernels have their data.
  virtual Memory &memory() = 0;
  /// Begins a kernel; fills word 0 of the arguments. A device that executes
  /// later copies them. Fails with what is known without waiting.
  virtual Status launch(const Launch &launch, Trace &trace) = 0;
  /// Waits for everything launched, and forgets failures.
  virtual Status finish() = 0;
};

/// What the sessions of a model share on a device: code and weights.
class Program {
public:
  virtual ~Program() = default;

  /// Pointers by slot.
  virtual void *const *weights() const = 0;
  virtual Status createDevice(const moec_session_options &options,
                              std::unique_ptr<Device> &device) const = 0;
};

/// Fails, with the names of those that exist, when no device has that name.
Status checkDevice(const std::string &name);

/// Loads a model, whose weights may go where the device wants them, on its
/// device; checkDevice has accepted it. `code` is the artifact's part for it.
Status loadProgram(const Model &model, std::string_view code, Weights &weights,
                   std::unique_ptr<Program> &program);

/// Devices that exist, each in its own file.
Status loadCpuProgram(const Model &model, std::string_view code, Weights &weights,
                      std::unique_ptr<Program> &program);
Status loadCudaProgram(const Model &model, std::string_view code, Weights &weights,
                       std::unique_ptr<Program> &program);

/// What a check that failed says: `status` is the number that the kernel left
/// (see moec_services.launch), `site` its launch, null in host code.
Status checkFailure(const Metadata &metadata, int32_t status, const Site *site);

} // namespace moec::runtime
