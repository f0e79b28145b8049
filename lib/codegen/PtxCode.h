//===- PtxCode.h - from the LLVM dialect to PTX ----------------------------===//
#pragma once

#include "lib/kernels/cuda/CudaChip.h"
#include "mlir/IR/BuiltinOps.h"

namespace moec {

/// Whether a module's operation is a kernel or belongs to kernels, not to host
/// code.
bool isDeviceCode(mlir::Operation &op);

/// Compiles the kernels of a lowered module to PTX, in process. Each becomes an
/// entry of its name that takes, by value, the words of its argument table and
/// the size of the launch's grid; a block computes as many indices as the
/// kernel's "geometry" in the metadata says.
mlir::FailureOr<std::string> emitPtx(mlir::ModuleOp module, const CudaChip &chip);

} // namespace moec
