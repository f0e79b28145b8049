//===- ArtifactFile.h - writes OUT.moec -----------------------------------===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace moec {

/// What an artifact consists of; see include/moec/artifact.h.
struct ArtifactParts {
  llvm::StringRef target, chip;
  llvm::StringRef metadata, hostCode, deviceCode;
};

/// Writes an artifact, which appears whole or not at all.
llvm::Error writeArtifact(llvm::StringRef path, const ArtifactParts &parts);

} // namespace moec
