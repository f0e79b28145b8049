//===- Permute.h - slots by expert -----------------------------------------===//
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// A moe.permute. The kernel's input are the ids [?,top_k]; its outputs are the
/// offsets [experts+1], the slots [?] and the positions [?,top_k], all of i32.
/// The grid is 1: a counting sort passes twice over the ids, in order.
struct Permute {
  int64_t experts, topK;

  bool operator==(const Permute &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
