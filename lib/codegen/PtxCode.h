//===- PtxCode.h - from the LLVM dialect to PTX ----------------------------===//
#pragma once

#include "lib/kernels/cuda/CudaChip.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace moec {

/// Whether a module's operation is a kernel or belongs to kernels, not to host
/// code.
bool isDeviceCode(mlir::Operation &op);

/// The kernels that take the place of others in code for the chip, by the names
/// of these.
llvm::StringMap<mlir::Operation *> variantsFor(mlir::ModuleOp module, const CudaChip &chip);

/// Compiles the kernels of a lowered module to PTX, in process. Each becomes an
/// entry of its name that takes, by value, the words of its argument table and
/// the size of the launch's grid; a block computes as many indices as the
/// kernel's "geometry" in the metadata says.
mlir::FailureOr<std::string> emitPtx(mlir::ModuleOp module, const CudaChip &chip);

} // namespace moec
