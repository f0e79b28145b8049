//===- CudaChip.h - what generated CUDA code may use ----------------------===//
#pragma once

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace moec {

/// An architecture that PTX is generated for.
struct CudaChip {
  /// "sm_80" or "sm_90a".
  std::string name;
  /// LLVM's name for the lowest version of PTX that knows it: the lower, the
  /// older the drivers that take it.
  std::string ptxVersion;
};

/// The chip called `name`; "native" is sm_80, since compiling needs no GPU and
/// every later one executes it.
std::optional<CudaChip> parseCudaChip(llvm::StringRef name);

/// The chips whose code an artifact for `chip` carries, best first: code for
/// sm_90a runs on nothing later.
llvm::SmallVector<CudaChip> chipsOfArtifact(const CudaChip &chip);

} // namespace moec
