//===- Combine.h - sums of the rows of each token's slots ------------------===//
#pragma once

#include "lib/kernels/CombineSpec.h"
#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// The grid is the tokens.
struct Combine : CombineSpec {
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
