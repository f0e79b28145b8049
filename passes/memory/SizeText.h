//===- SizeText.h - sizes as people write them ----------------------------===//
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// A size computed in `main` from its inputs' dimensions, by the names that the
/// model gives those: "batch_size", "(past_length + sequence_length)",
/// "ceildiv(total_length, 64)"; the runtime evaluates it (runtime/SizeText.h).
/// Of other operations, and of very long ones, "f(...)" tells the dimensions that
/// the size depends on.
std::string sizeText(mlir::func::FuncOp main, mlir::Value size);

} // namespace moec
