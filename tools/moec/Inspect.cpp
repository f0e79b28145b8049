//===- Inspect.cpp - moec inspect: what a file contains --------------------===//
#include "tools/moec/Inspect.h"

#include "tools/moec/Compiler.h"
#include "tools/moec/Session.h"

namespace moec::tools {
namespace {

int run(const Arguments &arguments) {
  if (arguments.positional().size() != 1)
    return misuse(inspectCommand, "needs one file");
  const std::string &path = arguments.positional()[0];
  return looksLikeArtifact(path) || !path.ends_with(".onnx") ? inspectArtifact(arguments, path)
                                                             : inspectModel(arguments, path);
}

constexpr Option kOptions[] = {
    {"--json", nullptr, "print JSON; of an artifact, its metadata (docs/metadata.md)"},
    MOEC_CONTRIB_OPTION,
    {"--batch", "B", "of the memory report; default: 1"},
    {"--sequence", "N", "run a prompt of N tokens and report its memory"},
    MOEC_SESSION_OPTIONS,
};

} // namespace

const Command inspectCommand = {
    "inspect",
    "MODEL.onnx | OUT.moec [options]",
    "tell what a model contains and how it was compiled",
    "Describes a model, or an artifact: chip, inputs and outputs, state, kernels,\n"
    "weights, the memory plan, and how each MoE and attention block was understood.",
    kOptions,
    run,
};

} // namespace moec::tools
