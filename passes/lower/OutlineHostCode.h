//===- OutlineHostCode.h - host code without element accesses --------------===//
#pragma once

#include "passes/lower/KernelSet.h"

namespace moec {

/// Makes what accesses elements of buffers in `main` kernels of one index each,
/// and reads, by `rt.read`, the elements that sizes, control flow and scalar
/// arguments of launches depend on. Fails on a loop that both stores elements
/// and yields what the host needs.
mlir::LogicalResult outlineHostCode(mlir::func::FuncOp main, KernelSet &kernels);

} // namespace moec
