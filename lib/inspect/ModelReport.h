//===- ModelReport.h - what a model contains and how it was understood ----===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

namespace moec {

/// Describes an imported module: inputs, outputs, operators, weights, and each
/// MoE and attention block with how it was written. A block counts as raised
/// when `raised` (may be null) has an op of the moe or attn dialect at its
/// node; otherwise it runs as ordinary operators.
llvm::json::Object describeModel(mlir::ModuleOp imported, mlir::ModuleOp raised);

/// Prints such a description for people.
void printModel(const llvm::json::Object &model, llvm::raw_ostream &os);

} // namespace moec
