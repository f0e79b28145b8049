//===- ObjectCode.h - from the LLVM dialect to machine code ---------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/MemoryBuffer.h"
#include <string>

namespace moec {

/// A CPU to generate code for, in LLVM's words.
struct CpuTarget {
  std::string triple;
  std::string cpu;
  /// Comma-separated "+feature" list; may be empty.
  std::string features;
};

/// Compiles a module of the LLVM dialect, with `metadata` (JSON) inside, to a
/// relocatable ELF object whose one exported symbol is the function
/// `const moec_module_v1 *PREFIX_module(void)`.
mlir::FailureOr<std::unique_ptr<llvm::MemoryBuffer>> emitObject(mlir::ModuleOp module,
                                                                const CpuTarget &target,
                                                                llvm::StringRef metadata,
                                                                llvm::StringRef prefix);

} // namespace moec
