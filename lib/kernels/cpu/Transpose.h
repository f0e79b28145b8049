//===- Transpose.h - square blocks of vectors, rows to columns -------------===//
#pragma once

#include "lib/kernels/cpu/KernelBuilder.h"

namespace moec {

/// Exchanges rows and columns of a block of as many vectors as each has lanes,
/// a power of two.
void transpose(KernelBuilder &b, llvm::MutableArrayRef<mlir::Value> rows);

} // namespace moec
