//===- NodeTest.h - one case of the ONNX node tests -----------------------===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include <string>

namespace moec::e2e {

/// How a case is compiled.
enum class Mode {
  /// As the file says: all shapes are known.
  Static,
  /// No size of any input is known.
  Dynamic,
  /// The inputs are initializers.
  Constant,
};
inline constexpr Mode kModes[] = {Mode::Static, Mode::Dynamic, Mode::Constant};
llvm::StringRef nameOf(Mode mode);

/// Imports, compiles and runs the case in `folder` (model.onnx and
/// test_data_set_0) and compares its outputs. Returns what went wrong, empty
/// when nothing did. With `dumpFolder` the IR after each stage is written
/// there.
std::string runNodeTest(llvm::StringRef folder, Mode mode, llvm::StringRef dumpFolder = "");

} // namespace moec::e2e
