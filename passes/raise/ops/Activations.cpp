//===- Activations.cpp - activation functions -------------------------------===//
#include "passes/raise/ops/Formulas.h"
#include "passes/raise/ops/Helpers.h"

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

Value softplus(Emitter &e, Value x) {
  Value rest = math::Log1pOp::create(e, expf(e, negf(e, math::AbsFOp::create(e, x))));
  return addf(e, arith::MaximumFOp::create(e, x, e.constant(x.getType(), 0)), rest);
}

Value softsign(Emitter &e, Value x) {
  return divf(e, x, addf(e, one(e, x), math::AbsFOp::create(e, x)));
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

LogicalResult lowerPRelu(Node &node) {
  Tensor x = node.in(0), slope = node.in(1);
  return node.set(
      0, node.emitter.elementwise({x, slope}, x.elementType, [](Emitter &e, ValueRange v) {
        return arith::SelectOp::create(e, positive(e, v[0]), v[0], mulf(e, v[0], v[1])).getResult();
      }));
}

//===--- Functions with names and numbers -----------------------------------===//

/// scale * (x > 0 ? x : alpha * (exp(x / divisor) - 1))
Value exponentialUnit(Emitter &e, Value x, double alpha, double scale, double divisor) {
  Type type = x.getType();
  Value scaled = divisor == 1 ? x : divf(e, x, e.constant(type, divisor));
  Value below = mulf(e, e.constant(type, alpha), math::ExpM1Op::create(e, scaled));
  Value result = arith::SelectOp::create(e, positive(e, x), x, below);
  return scale == 1 ? result : mulf(e, e.constant(type, scale), result);
}

/// x clamped to [low, high].
Value clamp(Emitter &e, Value x, double low, double high) {
  Value below = arith::MinimumFOp::create(e, x, e.constant(x.getType(), high));
  return arith::MaximumFOp::create(e, below, e.constant(x.getType(), low));
}

/// A number of a function: the attribute that states it, and what it is if
/// none does.
struct Number {
  StringLiteral name;
  double unstated;
};

struct ActivationFunction {
  StringLiteral name;
  Value (*formula)(Emitter &, Value x, double first, double second);
  Number first = {"", 0}, second = {"", 0};
};

const ActivationFunction kFunctions[] = {
    {"Celu",
     [](Emitter &e, Value x, double alpha, double) {
       return exponentialUnit(e, x, alpha, 1, alpha);
     },
     {"alpha", 1}},
    {"Elu",
     [](Emitter &e, Value x, double alpha, double) { return exponentialUnit(e, x, alpha, 1, 1); },
     {"alpha", 1}},
    {"HardSigmoid",
     [](Emitter &e, Value x, double alpha, double beta) {
       Value line = mulf(e, x, e.constant(x.getType(), alpha));
       return clamp(e, addf(e, line, e.constant(x.getType(), beta)), 0, 1);
     },
     {"alpha", 0.2f},
     {"beta", 0.5}},
    {"LeakyRelu",
     [](Emitter &e, Value x, double alpha, double) {
       Value scaled = mulf(e, x, e.constant(x.getType(), alpha));
       return arith::SelectOp::create(e, positive(e, x), x, scaled).getResult();
     },
     {"alpha", 0.01f}},
    {"Relu",
     [](Emitter &e, Value x, double, double) {
       return arith::MaximumFOp::create(e, x, e.constant(x.getType(), 0)).getResult();
     }},
    {"Selu",
     [](Emitter &e, Value x, double alpha, double gamma) {
       return exponentialUnit(e, x, alpha, gamma, 1);
     },
     {"alpha", 1.67326319217681884765625},
     {"gamma", 1.05070102214813232421875}},
    {"Sigmoid", [](Emitter &e, Value x, double, double) { return sigmoid(e, x); }},
    {"Softplus", [](Emitter &e, Value x, double, double) { return softplus(e, x); }},
    {"Softsign", [](Emitter &e, Value x, double, double) { return softsign(e, x); }},
    {"Tanh",
     [](Emitter &e, Value x, double, double) { return math::TanhOp::create(e, x).getResult(); }},
    {"ThresholdedRelu",
     [](Emitter &e, Value x, double alpha, double) {
       Value isAbove =
           arith::CmpFOp::create(e, FloatCompare::OGT, x, e.constant(x.getType(), alpha));
       return arith::SelectOp::create(e, isAbove, x, e.constant(x.getType(), 0)).getResult();
     },
     {"alpha", 1}},
};

} // namespace

FailureOr<Tensor> activated(Node &node, Tensor x, StringRef function, StringRef prefix) {
  auto *known = llvm::find_if(
      kFunctions, [&](const ActivationFunction &candidate) { return candidate.name == function; });
  if (known == std::end(kFunctions))
    return node.refuse("the activation '") << function << "' is unknown";
  if (!x.isFloat())
    return node.refuse("it activates floats, but these are ") << x.elementType;
  auto stated = [&](const Number &number) {
    return number.name.empty() ? 0 : node.floatAttr((prefix + number.name).str(), number.unstated);
  };
  double first = stated(known->first), second = stated(known->second);
  return node.emitter.elementwise({x}, x.elementType, [&](Emitter &e, ValueRange v) {
    return known->formula(e, v[0], first, second);
  });
}

namespace {

/// An operator that is one of the functions.
LogicalResult lowerFunction(Node &node) {
  FailureOr<Tensor> result = activated(node, node.in(0), node.type(), "");
  return failed(result) ? failure() : node.set(0, *result);
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
    {"", "Celu", 1, 1, lowerFunction, 12},
    {"", "Elu", 1, 1, lowerFunction, 6},
    {"", "Gelu", 1, 1, lowerGelu, 20},
    {"", "HardSigmoid", 1, 1, lowerFunction, 6},
    {"", "LeakyRelu", 1, 1, lowerFunction, 6},
    {"", "PRelu", 2, 2, lowerPRelu, 9},
    {"", "Relu", 1, 1, lowerRelu, 6},
    {"", "Selu", 1, 1, lowerFunction, 6},
    {"", "Shrink", 1, 1, lowerShrink, 9},
    {"", "Swish", 1, 1, lowerSwish, 24},
    {"", "ThresholdedRelu", 1, 1, lowerFunction, 10},
    {kMicrosoft, "BiasGelu", 2, 2, lowerBiasGelu<false>},
    {kMicrosoft, "FastGelu", 1, 2, lowerBiasGelu<true>},
    {kMicrosoft, "Gelu", 1, 1, lowerGelu},
    {kMicrosoft, "QuickGelu", 1, 1, lowerQuickGelu},
};

} // namespace

ArrayRef<OperatorInfo> activationOperators() { return kTable; }

} // namespace moec::raise
