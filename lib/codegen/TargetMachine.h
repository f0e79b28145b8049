//===- TargetMachine.h - LLVM's code generators ---------------------------===//
#pragma once

#include "llvm/Target/TargetMachine.h"
#include <memory>

namespace moec {

/// What code is generated for.
struct TargetName {
  llvm::StringRef triple, cpu, features;
};

/// The code generator of a target, or null if this LLVM has none. Sums and
/// roundings are what the IR says: nothing is contracted.
std::unique_ptr<llvm::TargetMachine>
createTargetMachine(const TargetName &name, std::optional<llvm::Reloc::Model> relocation,
                    llvm::CodeGenOptLevel level);

} // namespace moec
