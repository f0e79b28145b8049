//===- CacheAppend.h - new rows behind those of a cache --------------------===//
#pragma once

#include "lib/kernels/CacheAppendSpec.h"
#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

struct CacheAppend : CacheAppendSpec {
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
  /// The size of the kernel's grid for a present of `batch` and `positions`.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value batch,
                   mlir::Value positions) const;
};

} // namespace moec
