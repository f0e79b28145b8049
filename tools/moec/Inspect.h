//===- Inspect.h - what moec inspect can look at ---------------------------===//
#pragma once

#include "tools/moec/Command.h"

namespace moec::tools {

/// Whether a file starts like an artifact, whole or not.
bool looksLikeArtifact(const std::string &path);

/// Describes an artifact without executing it, except that memory for a batch
/// and a sequence is found by running them. Returns an exit status.
int inspectArtifact(const Arguments &arguments, const std::string &path);

} // namespace moec::tools
