//===- Jit.h - generated code in this process -----------------------------===//
#pragma once

#include "moec/module_abi.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc

namespace moec {

/// A module that was compiled and loaded into this process.
class JitModule {
public:
  /// Loads an object made by emitObject with the prefix "moec".
  static llvm::Expected<std::unique_ptr<JitModule>>
  load(std::unique_ptr<llvm::MemoryBuffer> object);
  ~JitModule();

  /// Valid as long as this object.
  const moec_module_v1 *module() const { return table; }

private:
  JitModule();
  std::unique_ptr<llvm::orc::LLJIT> jit;
  const moec_module_v1 *table = nullptr;
};

} // namespace moec
