//===- CacheAppendSpec.h - new rows behind those of a cache ----------------===//
#pragma once

#include "mlir/IR/Builders.h"

namespace moec {

/// An attn.cache_append. The kernel's inputs are the past [?,M,?,D], the update
/// [?,?,M,D] and lengths [?] of i64, if there are; its output is the present
/// [?,M,?,D]. Rows are contiguous. Where the present lies in the memory of the
/// past, rows that it has already are not written.
struct CacheAppendSpec {
  mlir::Type element;
  /// M, D.
  int64_t heads, depth;
  bool hasLengths = false;

  bool operator==(const CacheAppendSpec &) const = default;
  std::string name() const;
  llvm::SmallVector<mlir::Type> inputTypes(mlir::Builder &builder) const;
  mlir::Type outputType() const;
};

} // namespace moec
