//===- Activation.h - what an activation computes --------------------------===//
#pragma once

#include "dialects/TensorBuilder.h"
#include "dialects/moe/MoeDialect.h"

namespace moec::moe {

/// 1 / (1 + exp(-x)), of a scalar or a vector.
mlir::Value sigmoid(TensorBuilder &b, mlir::Value x);

/// f(g) * (l + beta) within the limits; just f(g) without l. Values are f32,
/// scalars or vectors.
mlir::Value activate(TensorBuilder &b, ActivationAttr activation, mlir::Value g, mlir::Value l);

} // namespace moec::moe
