// Runs MLIR source through every stage of the compiler and the runtime, on a
// device.
#pragma once

#include "moec/runtime.h"
#include "test/unit/dialects/program.h"

namespace moec::test {

class DeviceProgram {
public:
  /// Compiles @main for CUDA; `valid()` is false after an error, which has been
  /// printed.
  DeviceProgram(const std::string &source, const std::string &chip);
  ~DeviceProgram();
  DeviceProgram(const DeviceProgram &) = delete;
  bool valid() const { return session != nullptr; }

  /// Empty after an error, which has been printed. An input without elements and
  /// shape is state that the session keeps.
  std::vector<Array> run(const std::vector<Array> &inputs);

private:
  moec_model *model = nullptr;
  moec_session *session = nullptr;
};

/// MOEC_TEST_CHIP, or sm_80.
std::string testedCudaChip();

} // namespace moec::test
