#include "dialects/moe/Activation.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace moec::moe {

Value sigmoid(TensorBuilder &b, Value x) {
  Value one = b.constant(x.getType(), 1);
  return b.div(one, b.add(one, b.exp(b.sub(b.constant(x.getType(), 0), x))));
}

namespace {

Value applyFunction(TensorBuilder &b, ActivationAttr activation, Value x) {
  auto constant = [&](double value) { return b.constant(x.getType(), value); };
  switch (activation.getFunction()) {
  case Function::identity:
    return x;
  case Function::relu:
    return b.max(x, constant(0));
  case Function::silu:
    return b.mul(x, sigmoid(b, b.mul(constant(activation.getAlpha().convertToDouble()), x)));
  case Function::gelu_tanh: {
    Value cube = b.mul(constant(0.044715), b.mul(x, b.mul(x, x)));
    Value inner = b.mul(constant(std::sqrt(2 / M_PI)), b.add(x, cube));
    Value tanh = math::TanhOp::create(b, inner);
    return b.mul(b.mul(constant(0.5), x), b.add(constant(1), tanh));
  }
  case Function::gelu_erf: {
    Value erf = math::ErfOp::create(b, b.mul(x, constant(std::sqrt(0.5))));
    return b.mul(b.mul(constant(0.5), x), b.add(constant(1), erf));
  }
  }
  llvm_unreachable("a function without a case");
}

} // namespace

Value activate(TensorBuilder &b, ActivationAttr activation, Value g, Value l) {
  if (!l)
    return applyFunction(b, activation, g);
  Value limit = b.constant(g.getType(), activation.getLimit().convertToDouble());
  if (!activation.getLimit().isInfinity()) {
    g = b.min(g, limit);
    l = b.max(b.min(l, limit), b.sub(b.constant(g.getType(), 0), limit));
  }
  Value beta = b.constant(g.getType(), activation.getBeta().convertToDouble());
  return b.mul(applyFunction(b, activation, g), b.add(l, beta));
}

} // namespace moec::moe
