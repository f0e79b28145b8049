//===- MatmulDot.h - the sums of a tile of a product -----------------------===//
#pragma once

#include "lib/kernels/cpu/KernelBuilder.h"
#include "lib/kernels/cpu/Matmul.h"

namespace moec {

/// Columns of one panel that are multiplied: vectors of lanes.
struct PanelVectors {
  /// Of each the first lane, and the number of lanes that hold elements of the
  /// result.
  llvm::SmallVector<int64_t> offsets, counts;
};

/// What a kernel multiplies, as memrefs; null if there is none.
struct MatmulOperands {
  /// Rows, and of int8 their scales and sums.
  mlir::Value x, xScales, xSums;
  mlir::Value weights, scales, zeros;
};

/// Emits the sums of rows `sources` of x by the columns of a panel of a group:
/// row by row, vector by vector.
llvm::SmallVector<mlir::Value> emitDots(KernelBuilder &b, const Matmul &matmul, const Chip &chip,
                                        const MatmulOperands &operands, mlir::Value group,
                                        mlir::Value panel, const PanelVectors &vectors,
                                        llvm::ArrayRef<mlir::Value> sources);

} // namespace moec
