//===- CubinCode.h - from PTX to machine code, by CUDA's assembler ---------===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>

namespace moec {

/// The path of ptxas: from PATH, CUDA_HOME or /usr/local/cuda; none where there
/// is no toolkit.
std::optional<std::string> findPtxas();

/// Assembles PTX to a cubin, which runs on `chip` without the driver's compiler.
/// The error is ptxas's own first line.
llvm::Expected<std::string> assembleCubin(llvm::StringRef ptxas, llvm::StringRef ptx,
                                          llvm::StringRef chip);

} // namespace moec
