//===- RouteFormulas.h - what routers of all targets compute alike ---------===//
#pragma once

#include "dialects/TensorBuilder.h"
#include "dialects/moe/MoeDialect.h"

namespace moec {

/// Integers in the order of floats, of a scalar or a vector of f32: a NaN is -inf,
/// and both zeros are one.
mlir::Value choiceKey(TensorBuilder &b, mlir::Value choice);

/// A normalised weight, an f32, times the router's scale, and 0 where it is not
/// above the least weight that counts.
mlir::Value scaledWeight(TensorBuilder &b, moe::RouterAttr router, mlir::Value weight);

} // namespace moec
