//===- ModelReport.h - what a model contains and how it was understood ----===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"

namespace moec {

/// Why nodes were not raised, by their names.
using Refusals = llvm::StringMap<std::string>;

/// Describes an imported module: inputs, outputs, operators, weights, and each
/// MoE and attention block with how it was written. A block counts as raised
/// when `raised` has an op of the moe or attn dialect at its node; otherwise it
/// runs as ordinary operators. Where `raised` is null, nothing was raised: then
/// a block tells its refusal, or nothing of its fate.
llvm::json::Object describeModel(mlir::ModuleOp imported, mlir::ModuleOp raised,
                                 const Refusals &refusals = {});

/// Prints such a description for people.
void printModel(const llvm::json::Object &model, llvm::raw_ostream &os);

} // namespace moec
