//===- TestModel.h - a model compiled for tests, and its references --------===//
#pragma once

#include "moec/Compiler.h"
#include "moec/runtime.h"
#include "tools/moec/Npy.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace moec::test {

struct Releaser {
  void operator()(moec_model *model) const { moec_model_release(model); }
  void operator()(moec_session *session) const { moec_session_release(session); }
};
using Model = std::unique_ptr<moec_model, Releaser>;
using Session = std::unique_ptr<moec_session, Releaser>;

/// For the target and chip that MOEC_TEST_TARGET and MOEC_TEST_CHIP name; the CPU
/// of this machine without them.
CompileOptions testedOptions();
/// How often to do what would take long on a device that is simulated: what
/// MOEC_TEST_ROUNDS says, or `standard`.
int testedRounds(int standard);

/// Compiles a model to an artifact and loads it, as `moec compile` and the
/// runtime do. Null after an error, which has been printed. The options need no
/// path.
Model compileAndLoad(const std::filesystem::path &onnx, CompileOptions options = {});

Session createSession(moec_model *model, const moec_session_options &options);
Session createSession(moec_model *model, int threads = 0);

/// Reads a .npy file of type `type`; fails the test if it cannot.
tools::Array readArray(const std::filesystem::path &path, int32_t type);
/// Numbers of a float32 or float64 file.
std::vector<double> readNumbers(const std::filesystem::path &path);
/// Elements of a float output, which may be strided.
std::vector<double> toNumbers(const moec_tensor &tensor);

/// 1 - 2 sum(x y) / sum(x^2 + y^2), the measure of DeepGEMM's tests.
double calcDiff(const std::vector<double> &x, const std::vector<double> &y);

} // namespace moec::test
