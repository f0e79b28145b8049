//===- Compiler.h - sub-commands that need the compiler --------------------===//
#pragma once

#include "tools/moec/Command.h"

namespace moec::tools {

extern const Command compileCommand;

/// Whose meaning the operators of com.microsoft have, as CompileOptions takes it.
#define MOEC_CONTRIB_OPTION                                                                        \
  {"--contrib-semantics", "ort-cpu|ort-cuda",                                                      \
   "whose operators of com.microsoft the model was written for"}
/// Returns an exit status, kDone if the option's value is known.
int takeContribSemantics(const Command &command, const Arguments &arguments,
                         std::string &semantics);

/// Describes an ONNX model and how its blocks are understood.
int inspectModel(const Arguments &arguments, const std::string &path);

} // namespace moec::tools
