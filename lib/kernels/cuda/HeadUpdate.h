//===- HeadUpdate.h - what precedes attention, in one kernel ---------------===//
#pragma once

#include "lib/kernels/cuda/CacheAppend.h"
#include "lib/kernels/cuda/Rope.h"

namespace moec::cuda {

/// Queries are rotated, keys rotated and appended to their cache, values appended
/// to theirs: by blocks of their own, one after the other. The kernel's arguments
/// are the inputs of the three, then their outputs.
struct HeadUpdate {
  Rope queries;
  CacheAppend keys, values;

  bool operator==(const HeadUpdate &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
};

} // namespace moec::cuda
