//===- Route.h - selection and weights of experts, by lanes of a warp ------===//
#pragma once

#include "lib/kernels/RouteSpec.h"
#include "lib/kernels/cuda/BlockBuilder.h"

namespace moec::cuda {

/// A token is routed by some lanes of a warp: by all 32, or where there are at
/// most 16 experts by as many, and then a warp has several tokens. A lane holds
/// neighbouring experts in registers, of one group; lane k gets the k-th choice.
///
/// Sums: a lane adds the exponentials of its experts ascending, and those of
/// lanes are added across one bit of their number after the other, the highest
/// first: an order that only the experts and groups decide. Weights, and what the
/// sparse mixer sums, are added ascending.
struct Route : RouteSpec {
  /// Whether lanes can hold the experts and the choices.
  bool isSupported() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
  /// The number of blocks for `tokens` tokens.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tokens) const;
};

} // namespace moec::cuda
