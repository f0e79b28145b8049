//===- Elementwise.cpp - operators on single elements ----------------------===//
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace moec::raise {
namespace {

using FloatCompare = arith::CmpFPredicate;
using IntCompare = arith::CmpIPredicate;

//===--- Unary ------------------------------------------------------------===//

/// One math or arith operation on floats.
template <typename Op> LogicalResult lowerFloatUnary(Node &node) {
  Tensor x = node.in(0);
  return node.set(0, node.emitter.elementwise({x}, x.elementType, [](Emitter &e, ValueRange v) {
    return Op::create(e, v[0]).getResult();
  }));
}

/// A formula on floats.
using Formula = Value (*)(Emitter &, Value);
template <Formula formula> LogicalResult lowerFormula(Node &node) {
  Tensor x = node.in(0);
  return node.set(0, node.emitter.elementwise({x}, x.elementType, [](Emitter &e, ValueRange v) {
    return formula(e, v[0]);
  }));
}

Value one(Emitter &e, Value like) { return e.constant(like.getType(), 1); }
Value addf(Emitter &e, Value a, Value b) { return arith::AddFOp::create(e, a, b); }
Value subf(Emitter &e, Value a, Value b) { return arith::SubFOp::create(e, a, b); }
Value mulf(Emitter &e, Value a, Value b) { return arith::MulFOp::create(e, a, b); }
Value divf(Emitter &e, Value a, Value b) { return arith::DivFOp::create(e, a, b); }
Value negf(Emitter &e, Value a) { return arith::NegFOp::create(e, a); }
Value expf(Emitter &e, Value a) { return math::ExpOp::create(e, a); }

Value sigmoid(Emitter &e, Value x) {
  return divf(e, one(e, x), addf(e, one(e, x), expf(e, negf(e, x))));
}
Value softplus(Emitter &e, Value x) { return math::Log1pOp::create(e, expf(e, x)); }
Value reciprocal(Emitter &e, Value x) { return divf(e, one(e, x), x); }
Value softsign(Emitter &e, Value x) {
  return divf(e, x, addf(e, one(e, x), math::AbsFOp::create(e, x)));
}
Value mish(Emitter &e, Value x) { return mulf(e, x, math::TanhOp::create(e, softplus(e, x))); }
Value hardSwish(Emitter &e, Value x) {
  Value inner = addf(e, mulf(e, x, e.constant(x.getType(), 1.0 / 6)), e.constant(x.getType(), 0.5));
  Value clipped = arith::MaximumFOp::create(e, e.constant(x.getType(), 0),
                                            arith::MinimumFOp::create(e, one(e, x), inner));
  return mulf(e, x, clipped);
}

LogicalResult lowerNeg(Node &node) {
  Tensor x = node.in(0);
  return node.set(0, node.emitter.elementwise({x}, x.elementType, [&](Emitter &e, ValueRange v) {
    if (x.isFloat())
      return negf(e, v[0]);
    return arith::SubIOp::create(e, e.constant(v[0].getType(), 0), v[0]).getResult();
  }));
}

LogicalResult lowerAbs(Node &node) {
  Tensor x = node.in(0);
  if (x.isUnsigned())
    return node.set(0, x);
  return node.set(0, node.emitter.elementwise({x}, x.elementType, [&](Emitter &e, ValueRange v) {
    if (x.isFloat())
      return math::AbsFOp::create(e, v[0]).getResult();
    Value negative = arith::SubIOp::create(e, e.constant(v[0].getType(), 0), v[0]);
    return arith::MaxSIOp::create(e, v[0], negative).getResult();
  }));
}

LogicalResult lowerSign(Node &node) {
  Tensor x = node.in(0);
  return node.set(0, node.emitter.elementwise({x}, x.elementType, [&](Emitter &e, ValueRange v) {
    Type type = v[0].getType();
    Value zero = e.constant(type, 0), plus = e.constant(type, 1), minus = e.constant(type, -1);
    Value above, below;
    if (x.isFloat()) {
      above = arith::CmpFOp::create(e, FloatCompare::OGT, v[0], zero);
      below = arith::CmpFOp::create(e, FloatCompare::OLT, v[0], zero);
    } else {
      above =
          arith::CmpIOp::create(e, x.isUnsigned() ? IntCompare::ugt : IntCompare::sgt, v[0], zero);
      below = x.isUnsigned() ? e.constant(e.getI1Type(), 0)
                             : arith::CmpIOp::create(e, IntCompare::slt, v[0], zero).getResult();
    }
    Value other = arith::SelectOp::create(e, below, minus, zero);
    return arith::SelectOp::create(e, above, plus, other).getResult();
  }));
}

LogicalResult lowerNot(Node &node) {
  Tensor x = node.in(0);
  return node.set(0, node.emitter.elementwise({x}, x.elementType, [](Emitter &e, ValueRange v) {
    return arith::XOrIOp::create(e, v[0], e.constant(v[0].getType(), -1)).getResult();
  }));
}

LogicalResult lowerIsNan(Node &node) {
  return node.set(0,
                  node.emitter.elementwise(
                      {node.in(0)}, node.emitter.getI1Type(), [](Emitter &e, ValueRange v) {
                        return arith::CmpFOp::create(e, FloatCompare::UNO, v[0], v[0]).getResult();
                      }));
}

LogicalResult lowerIsInf(Node &node) {
  bool positive = node.intAttr("detect_positive", 1), negative = node.intAttr("detect_negative", 1);
  double infinity = std::numeric_limits<double>::infinity();
  return node.set(0, node.emitter.elementwise(
                         {node.in(0)}, node.emitter.getI1Type(), [&](Emitter &e, ValueRange v) {
                           auto is = [&](double value) {
                             return arith::CmpFOp::create(e, FloatCompare::OEQ, v[0],
                                                          e.constant(v[0].getType(), value))
                                 .getResult();
                           };
                           Value result = e.constant(e.getI1Type(), 0);
                           if (positive)
                             result = arith::OrIOp::create(e, result, is(infinity));
                           if (negative)
                             result = arith::OrIOp::create(e, result, is(-infinity));
                           return result;
                         }));
}

LogicalResult lowerIdentity(Node &node) { return node.set(0, node.in(0)); }

//===--- Binary and variadic ----------------------------------------------===//

/// Integer and float forms of one arithmetic operation.
template <typename FloatOp, typename SignedOp, typename UnsignedOp = SignedOp>
Value arithmetic(Emitter &e, const Tensor &like, Value a, Value b) {
  if (like.isFloat())
    return FloatOp::create(e, a, b);
  if (like.isUnsigned())
    return UnsignedOp::create(e, a, b);
  return SignedOp::create(e, a, b);
}

template <typename FloatOp, typename SignedOp, typename UnsignedOp = SignedOp>
LogicalResult lowerArithmetic(Node &node) {
  Tensor result = node.in(0);
  for (unsigned i = 1; i < node.numInputs(); ++i) {
    Tensor next = node.in(i);
    result =
        node.emitter.elementwise({result, next}, result.elementType, [&](Emitter &e, ValueRange v) {
          return arithmetic<FloatOp, SignedOp, UnsignedOp>(e, next, v[0], v[1]);
        });
  }
  return node.set(0, result);
}

LogicalResult lowerMean(Node &node) {
  if (failed((lowerArithmetic<arith::AddFOp, arith::AddIOp>(node))))
    return failure();
  double count = node.numInputs();
  Tensor sum = *node.results()[0];
  return node.set(0,
                  node.emitter.elementwise({sum}, sum.elementType, [&](Emitter &e, ValueRange v) {
                    return divf(e, v[0], e.constant(v[0].getType(), count));
                  }));
}

template <typename Op> LogicalResult lowerLogical(Node &node) {
  Tensor a = node.in(0), b = node.in(1);
  return node.set(0, node.emitter.elementwise({a, b}, a.elementType, [](Emitter &e, ValueRange v) {
    return Op::create(e, v[0], v[1]).getResult();
  }));
}

template <FloatCompare floats, IntCompare ints, IntCompare unsignedInts>
LogicalResult lowerCompare(Node &node) {
  Tensor a = node.in(0), b = node.in(1);
  return node.set(0, node.emitter.elementwise(
                         {a, b}, node.emitter.getI1Type(), [&](Emitter &e, ValueRange v) -> Value {
                           if (a.isFloat())
                             return arith::CmpFOp::create(e, floats, v[0], v[1]);
                           bool isUnsigned = a.isUnsigned() || a.isBool();
                           return arith::CmpIOp::create(e, isUnsigned ? unsignedInts : ints, v[0],
                                                        v[1]);
                         }));
}

LogicalResult lowerWhere(Node &node) {
  Tensor condition = node.in(0), yes = node.in(1), no = node.in(2);
  return node.set(0, node.emitter.elementwise(
                         {condition, yes, no}, yes.elementType, [](Emitter &e, ValueRange v) {
                           return arith::SelectOp::create(e, v[0], v[1], v[2]).getResult();
                         }));
}

LogicalResult lowerPow(Node &node) {
  Tensor base = node.in(0), exponent = node.in(1);
  if (!base.isFloat()) {
    // Integer powers are computed in f64, which is exact up to 2^53.
    Type f64 = node.emitter.getF64Type();
    Tensor x = node.emitter.cast(base, f64), y = node.emitter.cast(exponent, f64);
    Tensor power = node.emitter.elementwise({x, y}, f64, [](Emitter &e, ValueRange v) {
      return math::PowFOp::create(e, v[0], v[1]).getResult();
    });
    return node.set(0, node.emitter.cast(power, base.elementType));
  }
  // Squares are products, as everybody computes them.
  DenseFPElementsAttr constant;
  if (exponent.data && matchPattern(exponent.data, m_Constant(&constant)) && constant.isSplat() &&
      constant.getSplatValue<APFloat>().isExactlyValue(2.0) && exponent.rank() <= base.rank())
    return node.set(
        0, node.emitter.elementwise({base}, base.elementType,
                                    [](Emitter &e, ValueRange v) { return mulf(e, v[0], v[0]); }));
  exponent = node.emitter.cast(exponent, base.elementType);
  return node.set(
      0, node.emitter.elementwise({base, exponent}, base.elementType, [](Emitter &e, ValueRange v) {
        return math::PowFOp::create(e, v[0], v[1]).getResult();
      }));
}

LogicalResult lowerMod(Node &node) {
  Tensor a = node.in(0), b = node.in(1);
  bool truncate = node.intAttr("fmod", 0);
  if (a.isFloat() && !truncate)
    return node.refuse("floats need fmod = 1");
  return node.set(
      0, node.emitter.elementwise({a, b}, a.elementType, [&](Emitter &e, ValueRange v) -> Value {
        if (a.isFloat())
          return arith::RemFOp::create(e, v[0], v[1]);
        if (a.isUnsigned())
          return arith::RemUIOp::create(e, v[0], v[1]);
        Value rest = arith::RemSIOp::create(e, v[0], v[1]);
        if (truncate)
          return rest;
        // The sign of the divisor, as in Python.
        Value zero = e.constant(v[0].getType(), 0);
        Value isZero = arith::CmpIOp::create(e, IntCompare::eq, rest, zero);
        Value restNegative = arith::CmpIOp::create(e, IntCompare::slt, rest, zero);
        Value divisorNegative = arith::CmpIOp::create(e, IntCompare::slt, v[1], zero);
        Value sameSign = arith::CmpIOp::create(e, IntCompare::eq, restNegative, divisorNegative);
        Value keep = arith::OrIOp::create(e, isZero, sameSign);
        return arith::SelectOp::create(e, keep, rest, arith::AddIOp::create(e, rest, v[1]));
      }));
}

LogicalResult lowerBitShift(Node &node) {
  Tensor a = node.in(0), b = node.in(1);
  bool left = node.stringAttr("direction", "") == "LEFT";
  unsigned width = a.elementType.getIntOrFloatBitWidth();
  return node.set(0, node.emitter.elementwise({a, b}, a.elementType, [&](Emitter &e, ValueRange v) {
    Value shifted = left ? arith::ShLIOp::create(e, v[0], v[1]).getResult()
                         : arith::ShRUIOp::create(e, v[0], v[1]).getResult();
    Value inside =
        arith::CmpIOp::create(e, IntCompare::ult, v[1], e.constant(v[1].getType(), width));
    return arith::SelectOp::create(e, inside, shifted, e.constant(v[0].getType(), 0)).getResult();
  }));
}

//===--- With attributes --------------------------------------------------===//

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
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) {
                    return mulf(e, v[0],
                                sigmoid(e, mulf(e, v[0], e.constant(v[0].getType(), alpha))));
                  }));
}

LogicalResult lowerGelu(Node &node) {
  bool tanh = node.stringAttr("approximate", "none") == "tanh";
  return node.set(0, unary(node, [&](Emitter &e, ValueRange v) {
                    Type type = v[0].getType();
                    Value x = v[0], half = e.constant(type, 0.5), inner;
                    if (tanh) {
                      Value cube = mulf(e, mulf(e, mulf(e, x, x), x), e.constant(type, 0.044715));
                      Value scaled =
                          mulf(e, addf(e, x, cube), e.constant(type, 0.7978845608028654));
                      inner = math::TanhOp::create(e, scaled);
                    } else {
                      inner =
                          math::ErfOp::create(e, mulf(e, x, e.constant(type, 0.70710678118654752)));
                    }
                    return mulf(e, mulf(e, half, x), addf(e, e.constant(type, 1), inner));
                  }));
}

LogicalResult lowerClip(Node &node) {
  Tensor result = node.in(0);
  auto bound = [&](unsigned input, StringRef attribute, auto apply) {
    if (node.has(input))
      result = node.emitter.elementwise({result, node.in(input)}, result.elementType, apply);
    else if (auto value = node.attr<FloatAttr>(attribute))
      result =
          node.emitter.elementwise({result}, result.elementType, [&](Emitter &e, ValueRange v) {
            return apply(e, ValueRange{v[0], e.constant(v[0].getType(), value.getValueAsDouble())});
          });
  };
  Tensor like = result;
  bound(1, "min", [&](Emitter &e, ValueRange v) {
    return arithmetic<arith::MaximumFOp, arith::MaxSIOp, arith::MaxUIOp>(e, like, v[0], v[1]);
  });
  bound(2, "max", [&](Emitter &e, ValueRange v) {
    return arithmetic<arith::MinimumFOp, arith::MinSIOp, arith::MinUIOp>(e, like, v[0], v[1]);
  });
  return node.set(0, result);
}

/// A float as a power of two, for f8E8M0FNU, which has nothing else.
Value powerOfTwo(Emitter &e, Value single, StringRef mode) {
  constexpr int64_t kMantissa = 0x7fffff, kHalf = 0x400000;
  Type i32 = e.getI32Type();
  auto number = [&](int64_t value) {
    return arith::ConstantIntOp::create(e, value, 32).getResult();
  };
  Value bits = arith::BitcastOp::create(e, i32, single);
  if (mode != "down")
    bits = arith::AddIOp::create(e, bits, number(mode == "up" ? kMantissa : kHalf));
  bits = arith::AndIOp::create(e, bits, number(~kMantissa));
  Value isNan = arith::CmpFOp::create(e, FloatCompare::UNO, single, single);
  Value power = arith::BitcastOp::create(e, e.getF32Type(), bits);
  return arith::SelectOp::create(e, isNan, single, power);
}

/// To floats of 8 bits, what is too large becomes the largest unless `saturate`
/// is 0.
Tensor castTo(Node &node, Type target) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  auto narrow = dyn_cast<FloatType>(target);
  if (!narrow || narrow.getWidth() != 8 || x.elementType == target)
    return e.cast(x, target);
  bool saturates = node.intAttr("saturate", 1), isPower = isa<Float8E8M0FNUType>(narrow);
  Type f32 = e.getF32Type();
  return e.elementwise({x}, target, [&](Emitter &in, ValueRange v) {
    Value single = in.convert(v[0], x.elementType, f32);
    if (isPower)
      single = powerOfTwo(in, single, node.stringAttr("round_mode", "up"));
    if (saturates)
      single = saturateTo(in, single, narrow);
    return in.convert(single, f32, target);
  });
}

LogicalResult lowerCast(Node &node) {
  Type target = onnx::elementTypeOf(node.emitter.getContext(), node.intAttr("to", 0));
  if (!target)
    return node.refuse("element type ") << node.intAttr("to", 0) << " is not supported";
  return node.set(0, castTo(node, target));
}

LogicalResult lowerCastLike(Node &node) {
  return node.set(0, castTo(node, node.in(1).elementType));
}

constexpr auto kLess = lowerCompare<FloatCompare::OLT, IntCompare::slt, IntCompare::ult>;
constexpr auto kLessEqual = lowerCompare<FloatCompare::OLE, IntCompare::sle, IntCompare::ule>;
constexpr auto kGreater = lowerCompare<FloatCompare::OGT, IntCompare::sgt, IntCompare::ugt>;
constexpr auto kGreaterEqual = lowerCompare<FloatCompare::OGE, IntCompare::sge, IntCompare::uge>;
constexpr auto kEqual = lowerCompare<FloatCompare::OEQ, IntCompare::eq, IntCompare::eq>;

const OperatorInfo kTable[] = {
    {"", "Abs", 1, 1, lowerAbs},
    {"", "Acos", 1, 1, lowerFloatUnary<math::AcosOp>},
    {"", "Acosh", 1, 1, lowerFloatUnary<math::AcoshOp>},
    {"", "Add", 2, 2, lowerArithmetic<arith::AddFOp, arith::AddIOp>},
    {"", "And", 2, 2, lowerLogical<arith::AndIOp>},
    {"", "Asin", 1, 1, lowerFloatUnary<math::AsinOp>},
    {"", "Asinh", 1, 1, lowerFloatUnary<math::AsinhOp>},
    {"", "Atan", 1, 1, lowerFloatUnary<math::AtanOp>},
    {"", "Atanh", 1, 1, lowerFloatUnary<math::AtanhOp>},
    {"", "BitShift", 2, 2, lowerBitShift},
    {"", "BitwiseAnd", 2, 2, lowerLogical<arith::AndIOp>},
    {"", "BitwiseNot", 1, 1, lowerNot},
    {"", "BitwiseOr", 2, 2, lowerLogical<arith::OrIOp>},
    {"", "BitwiseXor", 2, 2, lowerLogical<arith::XOrIOp>},
    {"", "Cast", 1, 1, lowerCast},
    {"", "CastLike", 2, 2, lowerCastLike},
    {"", "Ceil", 1, 1, lowerFloatUnary<math::CeilOp>},
    {"", "Celu", 1, 1, lowerCelu},
    {"", "Clip", 1, 3, lowerClip},
    {"", "Cos", 1, 1, lowerFloatUnary<math::CosOp>},
    {"", "Cosh", 1, 1, lowerFloatUnary<math::CoshOp>},
    {"", "Div", 2, 2, lowerArithmetic<arith::DivFOp, arith::DivSIOp, arith::DivUIOp>},
    {"", "Elu", 1, 1, lowerElu},
    {"", "Equal", 2, 2, kEqual},
    {"", "Erf", 1, 1, lowerFloatUnary<math::ErfOp>},
    {"", "Exp", 1, 1, lowerFloatUnary<math::ExpOp>},
    {"", "Floor", 1, 1, lowerFloatUnary<math::FloorOp>},
    {"", "Gelu", 1, 1, lowerGelu},
    {"", "Greater", 2, 2, kGreater},
    {"", "GreaterOrEqual", 2, 2, kGreaterEqual},
    {"", "HardSigmoid", 1, 1, lowerHardSigmoid},
    {"", "HardSwish", 1, 1, lowerFormula<hardSwish>},
    {"", "Identity", 1, 1, lowerIdentity},
    {"", "IsInf", 1, 1, lowerIsInf},
    {"", "IsNaN", 1, 1, lowerIsNan},
    {"", "LeakyRelu", 1, 1, lowerLeakyRelu},
    {"", "Less", 2, 2, kLess},
    {"", "LessOrEqual", 2, 2, kLessEqual},
    {"", "Log", 1, 1, lowerFloatUnary<math::LogOp>},
    {"", "Max", 1, kVariadic, lowerArithmetic<arith::MaximumFOp, arith::MaxSIOp, arith::MaxUIOp>},
    {"", "Mean", 1, kVariadic, lowerMean},
    {"", "Min", 1, kVariadic, lowerArithmetic<arith::MinimumFOp, arith::MinSIOp, arith::MinUIOp>},
    {"", "Mish", 1, 1, lowerFormula<mish>},
    {"", "Mod", 2, 2, lowerMod},
    {"", "Mul", 2, 2, lowerArithmetic<arith::MulFOp, arith::MulIOp>},
    {"", "Neg", 1, 1, lowerNeg},
    {"", "Not", 1, 1, lowerNot},
    {"", "Or", 2, 2, lowerLogical<arith::OrIOp>},
    {"", "PRelu", 2, 2, lowerPRelu},
    {"", "Pow", 2, 2, lowerPow},
    {"", "Reciprocal", 1, 1, lowerFormula<reciprocal>},
    {"", "Relu", 1, 1, lowerRelu},
    {"", "Round", 1, 1, lowerFloatUnary<math::RoundEvenOp>},
    {"", "Selu", 1, 1, lowerSelu},
    {"", "Shrink", 1, 1, lowerShrink},
    {"", "Sigmoid", 1, 1, lowerFormula<sigmoid>},
    {"", "Sign", 1, 1, lowerSign},
    {"", "Sin", 1, 1, lowerFloatUnary<math::SinOp>},
    {"", "Sinh", 1, 1, lowerFloatUnary<math::SinhOp>},
    {"", "Softplus", 1, 1, lowerFormula<softplus>},
    {"", "Softsign", 1, 1, lowerFormula<softsign>},
    {"", "Sqrt", 1, 1, lowerFloatUnary<math::SqrtOp>},
    {"", "Sub", 2, 2, lowerArithmetic<arith::SubFOp, arith::SubIOp>},
    {"", "Sum", 1, kVariadic, lowerArithmetic<arith::AddFOp, arith::AddIOp>},
    {"", "Swish", 1, 1, lowerSwish},
    {"", "Tan", 1, 1, lowerFloatUnary<math::TanOp>},
    {"", "Tanh", 1, 1, lowerFloatUnary<math::TanhOp>},
    {"", "ThresholdedRelu", 1, 1, lowerThresholdedRelu},
    {"", "Where", 3, 3, lowerWhere},
    {"", "Xor", 2, 2, lowerLogical<arith::XOrIOp>},
    {kMicrosoft, "Gelu", 1, 1, lowerGelu},
};

} // namespace

ArrayRef<OperatorInfo> elementwiseOperators() { return kTable; }

} // namespace moec::raise
