//===- Formulas.h - functions of floats in bodies ---------------------------===//
#pragma once

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/raise/Operators.h"

namespace moec::raise {

inline mlir::Value one(Emitter &e, mlir::Value like) { return e.constant(like.getType(), 1); }
inline mlir::Value addf(Emitter &e, mlir::Value a, mlir::Value b) {
  return mlir::arith::AddFOp::create(e, a, b);
}
inline mlir::Value subf(Emitter &e, mlir::Value a, mlir::Value b) {
  return mlir::arith::SubFOp::create(e, a, b);
}
inline mlir::Value mulf(Emitter &e, mlir::Value a, mlir::Value b) {
  return mlir::arith::MulFOp::create(e, a, b);
}
inline mlir::Value divf(Emitter &e, mlir::Value a, mlir::Value b) {
  return mlir::arith::DivFOp::create(e, a, b);
}
inline mlir::Value negf(Emitter &e, mlir::Value a) { return mlir::arith::NegFOp::create(e, a); }
inline mlir::Value expf(Emitter &e, mlir::Value a) { return mlir::math::ExpOp::create(e, a); }

/// 1 / (1 + exp(-x))
inline mlir::Value sigmoid(Emitter &e, mlir::Value x) {
  return divf(e, one(e, x), addf(e, one(e, x), expf(e, negf(e, x))));
}

/// log(1 + exp(x)), so that nothing overflows.
mlir::Value softplus(Emitter &e, mlir::Value x);

/// x / (1 + |x|)
mlir::Value softsign(Emitter &e, mlir::Value x);

/// x * sigmoid(alpha * x)
mlir::Value swish(Emitter &e, mlir::Value x, double alpha);

/// x/2 * (1 + erf(x / sqrt(2))), or with tanh(sqrt(2/pi) * (x + 0.044715 x^3))
/// in place of erf.
mlir::Value gelu(Emitter &e, mlir::Value x, bool withTanh);

} // namespace moec::raise
