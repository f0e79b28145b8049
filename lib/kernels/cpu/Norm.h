//===- Norm.h - root-mean-square and layer normalisation -------------------===//
#pragma once

#include "lib/kernels/NormSpec.h"
#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// The grid is the rows.
///
/// Sums: kSums vectors take turns, each lane ascending; they are added in pairs
/// and the lanes by halves (KernelBuilder::sumOfLanes): an order that only the
/// chip and the width decide.
struct Norm : NormSpec {
  static constexpr int64_t kSums = 4;

  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
