//===- Elementwise.cpp - arithmetic, logic and comparison of elements -------===//
#include "passes/raise/ops/Formulas.h"
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
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

Value reciprocal(Emitter &e, Value x) { return divf(e, one(e, x), x); }
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

/// Dropout in inference, where nothing is dropped.
LogicalResult lowerDropout(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  node.ignore({"seed", "ratio"});
  if (node.has(2)) {
    FailureOr<Scalars> flag = node.list(2);
    if (failed(flag))
      return failure();
    OpFoldResult training = flag->front();
    std::optional<int64_t> known = getConstantIntValue(training);
    Value keepsAll = e.constant(e.getI1Type(), 0);
    if (node.has(1)) {
      Value ratio = e.createOrFold<tensor::ExtractOp>(e.value(node.in(1)), ValueRange{});
      Value zero = e.constant(ratio.getType(), 0);
      keepsAll = e.createOrFold<arith::CmpFOp>(FloatCompare::OEQ, ratio, zero);
    }
    if (known && *known && getConstantIntValue(keepsAll) == 0)
      return node.refuse("in training it drops elements at random");
    if (!known || *known) {
      Value isTraining = known ? e.constant(e.getI1Type(), 1) : cast<Value>(training);
      e.check(e.either(e.negation(isTraining), keepsAll),
              "in training, Dropout drops elements at random");
    }
  }
  (void)node.set(0, x);
  if (!node.wants(1))
    return success();
  Value all = e.filled(x.shape, e.constant(e.getI1Type(), 1));
  return node.set(1, e.tensor(all, e.getI1Type(), x.shape));
}

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

/// base^exponent by squaring, wrapped to the type of the base as products are.
/// What is less than 1 in magnitude becomes 0.
Value integerPower(Emitter &e, Value base, Value exponent, bool isSigned) {
  Type type = base.getType(), exponentType = exponent.getType();
  Value none = e.constant(exponentType, 0), bit = e.constant(exponentType, 1);
  Value unit = e.constant(type, 1);
  auto loop = scf::WhileOp::create(
      e, TypeRange{type, type, exponentType}, ValueRange{unit, base, exponent},
      [&](OpBuilder &nested, Location loc, ValueRange state) {
        Emitter in(loc, nested);
        scf::ConditionOp::create(in, in.negation(in.same(state[2], none)), state);
      },
      [&](OpBuilder &nested, Location loc, ValueRange state) {
        Emitter in(loc, nested);
        Value power = state[0], square = state[1], rest = state[2];
        Value isOdd = in.same(in.both(rest, bit), bit);
        scf::YieldOp::create(in, ValueRange{in.select(isOdd, in.mul(power, square), power),
                                            in.mul(square, square),
                                            arith::ShRUIOp::create(in, rest, bit)});
      });
  if (!isSigned)
    return loop.getResult(0);
  // The loop read a negative exponent as a large one, of the same parity: that
  // is right for 1 and -1.
  Value zero = e.constant(type, 0), isNegative = e.less(exponent, none);
  e.check(e.negation(e.both(isNegative, e.same(base, zero))), "0 has no negative power");
  Value isUnit = e.either(e.same(base, unit), e.same(base, e.constant(type, -1)));
  return e.select(e.both(isNegative, e.negation(isUnit)), zero, loop.getResult(0));
}

LogicalResult lowerPow(Node &node) {
  Tensor base = node.in(0), exponent = node.in(1);
  if (!base.isFloat() && !exponent.isFloat()) {
    bool isSigned = !exponent.isUnsigned();
    return node.set(0, node.emitter.elementwise({base, exponent}, base.elementType,
                                                [&](Emitter &e, ValueRange v) {
                                                  return integerPower(e, v[0], v[1], isSigned);
                                                }));
  }
  if (!base.isFloat()) {
    // Integers to the power of floats are computed in f64, as everybody does.
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

constexpr auto kLess = lowerCompare<FloatCompare::OLT, IntCompare::slt, IntCompare::ult>;
constexpr auto kLessEqual = lowerCompare<FloatCompare::OLE, IntCompare::sle, IntCompare::ule>;
constexpr auto kGreater = lowerCompare<FloatCompare::OGT, IntCompare::sgt, IntCompare::ugt>;
constexpr auto kGreaterEqual = lowerCompare<FloatCompare::OGE, IntCompare::sge, IntCompare::uge>;
constexpr auto kEqual = lowerCompare<FloatCompare::OEQ, IntCompare::eq, IntCompare::eq>;

const OperatorInfo kTable[] = {
    {"", "Abs", 1, 1, lowerAbs, 6},
    {"", "Acos", 1, 1, lowerFloatUnary<math::AcosOp>, 7},
    {"", "Acosh", 1, 1, lowerFloatUnary<math::AcoshOp>, 9},
    {"", "Add", 2, 2, lowerArithmetic<arith::AddFOp, arith::AddIOp>, 7},
    {"", "And", 2, 2, lowerLogical<arith::AndIOp>, 7},
    {"", "Asin", 1, 1, lowerFloatUnary<math::AsinOp>, 7},
    {"", "Asinh", 1, 1, lowerFloatUnary<math::AsinhOp>, 9},
    {"", "Atan", 1, 1, lowerFloatUnary<math::AtanOp>, 7},
    {"", "Atanh", 1, 1, lowerFloatUnary<math::AtanhOp>, 9},
    {"", "BitShift", 2, 2, lowerBitShift, 11},
    {"", "BitwiseAnd", 2, 2, lowerLogical<arith::AndIOp>, 18},
    {"", "BitwiseNot", 1, 1, lowerNot, 18},
    {"", "BitwiseOr", 2, 2, lowerLogical<arith::OrIOp>, 18},
    {"", "BitwiseXor", 2, 2, lowerLogical<arith::XOrIOp>, 18},
    {"", "Ceil", 1, 1, lowerFloatUnary<math::CeilOp>, 6},
    {"", "Clip", 1, 3, lowerClip, 6},
    {"", "Cos", 1, 1, lowerFloatUnary<math::CosOp>, 7},
    {"", "Cosh", 1, 1, lowerFloatUnary<math::CoshOp>, 9},
    {"", "Div", 2, 2, lowerArithmetic<arith::DivFOp, arith::DivSIOp, arith::DivUIOp>, 7},
    {"", "Dropout", 1, 3, lowerDropout, 10},
    {"", "Equal", 2, 2, kEqual, 7},
    {"", "Erf", 1, 1, lowerFloatUnary<math::ErfOp>, 9},
    {"", "Exp", 1, 1, lowerFloatUnary<math::ExpOp>, 6},
    {"", "Floor", 1, 1, lowerFloatUnary<math::FloorOp>, 6},
    {"", "Greater", 2, 2, kGreater, 7},
    {"", "GreaterOrEqual", 2, 2, kGreaterEqual, 12},
    {"", "HardSwish", 1, 1, lowerFormula<hardSwish>, 14},
    {"", "Identity", 1, 1, lowerIdentity, 1},
    {"", "IsInf", 1, 1, lowerIsInf, 10},
    {"", "IsNaN", 1, 1, lowerIsNan, 9},
    {"", "Less", 2, 2, kLess, 7},
    {"", "LessOrEqual", 2, 2, kLessEqual, 12},
    {"", "Log", 1, 1, lowerFloatUnary<math::LogOp>, 6},
    {"", "Max", 1, kVariadic, lowerArithmetic<arith::MaximumFOp, arith::MaxSIOp, arith::MaxUIOp>,
     8},
    {"", "Mean", 1, kVariadic, lowerMean, 8},
    {"", "Min", 1, kVariadic, lowerArithmetic<arith::MinimumFOp, arith::MinSIOp, arith::MinUIOp>,
     8},
    {"", "Mish", 1, 1, lowerFormula<mish>, 18},
    {"", "Mod", 2, 2, lowerMod, 10},
    {"", "Mul", 2, 2, lowerArithmetic<arith::MulFOp, arith::MulIOp>, 7},
    {"", "Neg", 1, 1, lowerNeg, 6},
    {"", "Not", 1, 1, lowerNot, 1},
    {"", "Or", 2, 2, lowerLogical<arith::OrIOp>, 7},
    {"", "Pow", 2, 2, lowerPow, 7},
    {"", "Reciprocal", 1, 1, lowerFormula<reciprocal>, 6},
    {"", "Round", 1, 1, lowerFloatUnary<math::RoundEvenOp>, 11},
    {"", "Sigmoid", 1, 1, lowerFormula<sigmoid>, 6},
    {"", "Sign", 1, 1, lowerSign, 9},
    {"", "Sin", 1, 1, lowerFloatUnary<math::SinOp>, 7},
    {"", "Sinh", 1, 1, lowerFloatUnary<math::SinhOp>, 9},
    {"", "Softplus", 1, 1, lowerFormula<softplus>, 1},
    {"", "Softsign", 1, 1, lowerFormula<softsign>, 1},
    {"", "Sqrt", 1, 1, lowerFloatUnary<math::SqrtOp>, 6},
    {"", "Sub", 2, 2, lowerArithmetic<arith::SubFOp, arith::SubIOp>, 7},
    {"", "Sum", 1, kVariadic, lowerArithmetic<arith::AddFOp, arith::AddIOp>, 8},
    {"", "Tan", 1, 1, lowerFloatUnary<math::TanOp>, 7},
    {"", "Tanh", 1, 1, lowerFloatUnary<math::TanhOp>, 6},
    {"", "Where", 3, 3, lowerWhere, 9},
    {"", "Xor", 2, 2, lowerLogical<arith::XOrIOp>, 7},
};

} // namespace

ArrayRef<OperatorInfo> elementwiseOperators() { return kTable; }

} // namespace moec::raise
