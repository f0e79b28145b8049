//===- KernelArguments.h - what kernels take, and its types ----------------===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ValueRange.h"

namespace moec {

/// A tensor's memory whose rows are contiguous, while it may be part of a larger
/// one.
mlir::MemRefType contiguousRows(llvm::ArrayRef<int64_t> shape, mlir::Type element);

/// Takes the first of the arguments that are left. One that is absent is null, and
/// none is taken.
mlir::Value takeArgument(mlir::ValueRange &arguments, bool isPresent = true);

} // namespace moec
