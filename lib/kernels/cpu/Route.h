//===- Route.h - selection and weights of each token's experts -------------===//
#pragma once

#include "lib/kernels/RouteSpec.h"
#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// The grid is the tokens.
///
/// The exponentials of a softmax over all experts are summed lane by lane,
/// ascending, and the lanes by halves (KernelBuilder::sumOfLanes): an order
/// that only the chip and the number of experts decide.
struct Route : RouteSpec {
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
