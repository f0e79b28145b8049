//===- Metadata.h - what a module says of itself --------------------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

namespace moec {

/// The metadata of a lowered module (after the emit stage), without the
/// members that only the writer of the weights file knows. The schema is
/// docs/metadata.md.
llvm::json::Object describeModule(mlir::ModuleOp module);

/// The symbols of the weights, by slot.
llvm::SmallVector<mlir::StringAttr> weightSlots(mlir::ModuleOp module);

} // namespace moec
