//===- KernelArguments.h - types of the memory that kernels take -----------===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"

namespace moec {

/// A tensor's memory whose rows are contiguous, while it may be part of a larger
/// one.
mlir::MemRefType contiguousRows(llvm::ArrayRef<int64_t> shape, mlir::Type element);

} // namespace moec
