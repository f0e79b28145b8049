//===- Metadata.h - what a module says of itself --------------------------===//
#pragma once

#include "lib/kernels/cuda/CudaChip.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

namespace moec {

/// The metadata of a lowered module (after the emit stage), without the
/// members that only the writer of the weights file knows. The schema is
/// docs/metadata.md.
llvm::json::Object describeModule(mlir::ModuleOp module);

/// The member "geometry" of code for a chip: how the kernels of a module, in the
/// order of the member "kernels", are cut into blocks.
llvm::json::Array describeGeometry(mlir::ModuleOp module, const CudaChip &chip);

/// The symbols of the weights, by slot.
llvm::SmallVector<mlir::StringAttr> weightSlots(mlir::ModuleOp module);

} // namespace moec
