//===- Rope.h - rotary position embedding ----------------------------------===//
#pragma once

#include "lib/kernels/RopeSpec.h"
#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// The grid is the tokens of all rows of the batch.
struct Rope : RopeSpec {
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
