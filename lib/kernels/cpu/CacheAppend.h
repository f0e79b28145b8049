//===- CacheAppend.h - new rows behind those of a cache --------------------===//
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// An attn.cache_append. The kernel's inputs are the past [?,M,?,D], the update
/// [?,?,M,D] and lengths [?] of i64, if there are; its output is the present
/// [?,M,?,D]. Rows are contiguous. Where the present lies in the memory of the
/// past, rows that it has already are not written.
struct CacheAppend {
  mlir::Type element;
  /// M, D.
  int64_t heads, depth;
  bool hasLengths = false;

  bool operator==(const CacheAppend &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
  /// The size of the kernel's grid for a present of `batch` and `positions`.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value batch,
                   mlir::Value positions) const;
};

} // namespace moec
