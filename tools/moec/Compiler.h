//===- Compiler.h - sub-commands that need the compiler --------------------===//
#pragma once

#include "tools/moec/Command.h"

namespace moec::tools {

extern const Command compileCommand;

/// Describes an ONNX model and how its blocks are understood.
int inspectModel(const Arguments &arguments, const std::string &path);

} // namespace moec::tools
