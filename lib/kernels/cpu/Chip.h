//===- Chip.h - what generated CPU code may use ---------------------------===//
#pragma once

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace moec {

/// A processor, or a level that many processors reach.
struct Chip {
  /// As given by the user; of "native", the name of this machine's processor.
  std::string name;
  /// LLVM's triple, processor and comma-separated "+feature" list.
  std::string triple, cpu, features;
  /// Instruction sets that a machine must have to run the code, by LLVM's names.
  llvm::SmallVector<std::string> required;
  /// Width and number of the registers that kernels are tiled for.
  unsigned vectorBits = 128;
  unsigned vectorRegisters = 16;
  bool fma = false, f16c = false, avx512vnni = false, avx512bf16 = false;

  unsigned lanes(unsigned elementBits) const { return vectorBits / elementBits; }
};

/// The chip called `name`: "native", a level such as "x86-64-v3", or a
/// processor that LLVM knows, for this machine's architecture.
std::optional<Chip> parseChip(llvm::StringRef name);

/// What every processor of this machine's architecture is, for host code whose
/// kernels run elsewhere.
Chip anyChip();

} // namespace moec
