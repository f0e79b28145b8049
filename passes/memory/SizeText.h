//===- SizeText.h - sizes as people write them ----------------------------===//
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// A size computed in `main` from its inputs' dimensions, by the names that the
/// model gives those: "batch_size", "(past_length + sequence_length)". What is
/// no sum or product is "f(...)" of the dimensions that it depends on.
std::string sizeText(mlir::func::FuncOp main, mlir::Value size);

} // namespace moec
