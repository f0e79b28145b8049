//===- Activations.cpp - activation functions -------------------------------===//
#include "passes/raise/ops/Formulas.h"

using namespace mlir;

namespace moec::raise {

Value swish(Emitter &e, Value x, double alpha) {
  return mulf(e, x, sigmoid(e, mulf(e, x, e.constant(x.getType(), alpha))));
}

Value gelu(Emitter &e, Value x, bool withTanh) {
  Type type = x.getType();
  Value inner;
  if (withTanh) {
    Value cube = mulf(e, mulf(e, mulf(e, x, x), x), e.constant(type, 0.044715));
    Value scaled = mulf(e, addf(e, x, cube), e.constant(type, 0.7978845608028654));
    inner = math::TanhOp::create(e, scaled);
  } else {
    inner = math::ErfOp::create(e, mulf(e, x, e.constant(type, 0.70710678118654752)));
  }
  return mulf(e, mulf(e, e.constant(type, 0.5), x), addf(e, one(e, x), inner));
}

namespace {

using FloatCompare = arith::CmpFPredicate;

Tensor unary(Node &node, Emitter::ScalarBody body) {
  Tensor x = node.in(0);
  return node.emitter.elementwise({x}, x.elementType, body);
}

Value positive(Emitter &e, Value x) {
  return arith::CmpFOp::create(e, FloatCompare::OGT, x, e.constant(x.getType(), 0));
}

LogicalResult lowerRelu(Node &node) {
  bool isFloat = node.in(0).isFloat();
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) -> Value {
                    Value zero = e.constant(v[0].getType(), 0);
                    if (isFloat)
                      return arith::MaximumFOp::create(e, v[0], zero);
                    return arith::MaxSIOp::create(e, v[0], zero);
                  }));
}

LogicalResult lowerLeakyRelu(Node &node) {
  double alpha = node.floatAttr("alpha", 0.01f);
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) {
                    Value scaled = mulf(e, v[0], e.constant(v[0].getType(), alpha));
                    return arith::SelectOp::create(e, positive(e, v[0]), v[0], scaled).getResult();
                  }));
}

LogicalResult lowerPRelu(Node &node) {
  Tensor x = node.in(0), slope = node.in(1);
  return node.set(
      0, node.emitter.elementwise({x, slope}, x.elementType, [](Emitter &e, ValueRange v) {
        return arith::SelectOp::create(e, positive(e, v[0]), v[0], mulf(e, v[0], v[1])).getResult();
      }));
}

/// scale * (x > 0 ? x : alpha * (exp(x / divisor) - 1))
LogicalResult exponentialUnit(Node &node, double alpha, double scale, double divisor) {
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) {
                    Type type = v[0].getType();
                    Value scaled = divisor == 1 ? v[0] : divf(e, v[0], e.constant(type, divisor));
                    Value below =
                        mulf(e, e.constant(type, alpha), math::ExpM1Op::create(e, scaled));
                    Value result = arith::SelectOp::create(e, positive(e, v[0]), v[0], below);
                    return scale == 1 ? result : mulf(e, e.constant(type, scale), result);
                  }));
}
LogicalResult lowerElu(Node &node) {
  return exponentialUnit(node, node.floatAttr("alpha", 1), 1, 1);
}
LogicalResult lowerSelu(Node &node) {
  return exponentialUnit(node, node.floatAttr("alpha", 1.67326319217681884765625),
                         node.floatAttr("gamma", 1.05070102214813232421875), 1);
}
LogicalResult lowerCelu(Node &node) {
  double alpha = node.floatAttr("alpha", 1);
  return exponentialUnit(node, alpha, 1, alpha);
}

LogicalResult lowerHardSigmoid(Node &node) {
  double alpha = node.floatAttr("alpha", 0.2f), beta = node.floatAttr("beta", 0.5);
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) {
                    Type type = v[0].getType();
                    Value line =
                        addf(e, mulf(e, v[0], e.constant(type, alpha)), e.constant(type, beta));
                    Value below = arith::MinimumFOp::create(e, line, e.constant(type, 1));
                    return arith::MaximumFOp::create(e, below, e.constant(type, 0)).getResult();
                  }));
}

LogicalResult lowerThresholdedRelu(Node &node) {
  double alpha = node.floatAttr("alpha", 1);
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) {
                    Type type = v[0].getType();
                    Value above =
                        arith::CmpFOp::create(e, FloatCompare::OGT, v[0], e.constant(type, alpha));
                    return arith::SelectOp::create(e, above, v[0], e.constant(type, 0)).getResult();
                  }));
}

LogicalResult lowerShrink(Node &node) {
  double bias = node.floatAttr("bias", 0), lambda = node.floatAttr("lambd", 0.5);
  Tensor x = node.in(0);
  Type f32 = node.emitter.getF32Type();
  Tensor wide = x.isFloat() ? x : node.emitter.cast(x, f32);
  Tensor result = node.emitter.elementwise({wide}, wide.elementType, [&](Emitter &e, ValueRange v) {
    Type type = v[0].getType();
    Value offset = e.constant(type, bias);
    Value low = arith::CmpFOp::create(e, FloatCompare::OLT, v[0], e.constant(type, -lambda));
    Value high = arith::CmpFOp::create(e, FloatCompare::OGT, v[0], e.constant(type, lambda));
    Value rest = arith::SelectOp::create(e, high, subf(e, v[0], offset), e.constant(type, 0));
    return arith::SelectOp::create(e, low, addf(e, v[0], offset), rest).getResult();
  });
  return node.set(0, node.emitter.cast(result, x.elementType));
}

LogicalResult lowerSwish(Node &node) {
  double alpha = node.floatAttr("alpha", 1);
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) { return swish(e, v[0], alpha); }));
}

LogicalResult lowerQuickGelu(Node &node) {
  double alpha = node.floatAttr("alpha", 1.702f);
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) { return swish(e, v[0], alpha); }));
}

LogicalResult lowerGelu(Node &node) {
  bool withTanh = node.stringAttr("approximate", "none") == "tanh";
  return node.set(0,
                  unary(node, [&](Emitter &e, ValueRange v) { return gelu(e, v[0], withTanh); }));
}

/// gelu(x + bias), as com.microsoft fuses it; the sum is rounded.
template <bool withTanh> LogicalResult lowerBiasGelu(Node &node) {
  Tensor x = node.in(0);
  SmallVector<Tensor> inputs{x};
  if (node.has(1))
    inputs.push_back(node.in(1));
  return node.set(0, node.emitter.elementwise(inputs, x.elementType, [](Emitter &e, ValueRange v) {
    return gelu(e, v.size() > 1 ? addf(e, v[0], v[1]) : v[0], withTanh);
  }));
}

const OperatorInfo kTable[] = {
    {"", "Celu", 1, 1, lowerCelu, 12},
    {"", "Elu", 1, 1, lowerElu, 6},
    {"", "Gelu", 1, 1, lowerGelu, 20},
    {"", "HardSigmoid", 1, 1, lowerHardSigmoid, 6},
    {"", "LeakyRelu", 1, 1, lowerLeakyRelu, 6},
    {"", "PRelu", 2, 2, lowerPRelu, 9},
    {"", "Relu", 1, 1, lowerRelu, 6},
    {"", "Selu", 1, 1, lowerSelu, 6},
    {"", "Shrink", 1, 1, lowerShrink, 9},
    {"", "Swish", 1, 1, lowerSwish, 24},
    {"", "ThresholdedRelu", 1, 1, lowerThresholdedRelu, 10},
    {kMicrosoft, "BiasGelu", 2, 2, lowerBiasGelu<false>},
    {kMicrosoft, "FastGelu", 1, 2, lowerBiasGelu<true>},
    {kMicrosoft, "Gelu", 1, 1, lowerGelu},
    {kMicrosoft, "QuickGelu", 1, 1, lowerQuickGelu},
};

} // namespace

ArrayRef<OperatorInfo> activationOperators() { return kTable; }

} // namespace moec::raise
