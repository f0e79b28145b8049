#include "passes/lower/NarrowFloats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace moec {
namespace {

constexpr int kSingleMantissa = 23, kSingleBias = 127;
constexpr int64_t kSingleSign = 0x80000000, kSingleInf = 0x7f800000, kSingleNan = 0x7fc00000;

/// A float type of 8 or 4 bits, as numbers.
struct Format {
  int width, mantissa, minExponent;
  /// What NaN becomes, and what is too large becomes.
  int64_t largest, nan, overflow, sign;
  bool hasNan, hasInfinity, hasNegativeZero;

  explicit Format(FloatType type) {
    const llvm::fltSemantics &semantics = type.getFloatSemantics();
    auto codeOf = [](const APFloat &value) {
      return static_cast<int64_t>(value.bitcastToAPInt().getZExtValue());
    };
    width = type.getWidth();
    sign = int64_t(1) << (width - 1);
    mantissa = APFloat::semanticsPrecision(semantics) - 1;
    minExponent = APFloat::semanticsMinExponent(semantics);
    largest = codeOf(APFloat::getLargest(semantics));
    hasNan = APFloat::semanticsHasNaN(semantics);
    hasInfinity = APFloat::semanticsHasInf(semantics);
    nan = hasNan ? codeOf(APFloat::getNaN(semantics)) : sign;
    overflow = hasInfinity ? largest + 1 : hasNan ? nan : largest;
    hasNegativeZero = codeOf(APFloat::getZero(semantics, /*Negative=*/true)) != 0;
  }
  int shift() const { return kSingleMantissa - mantissa; }
  /// What is added to an exponent to make it single precision's.
  int64_t rebias() const {
    return static_cast<int64_t>(kSingleBias + minExponent - 1) << kSingleMantissa;
  }
};

bool isNarrow(Type type) {
  return isa<Float8E4M3FNType, Float8E4M3FNUZType, Float8E5M2Type, Float8E5M2FNUZType,
             Float4E2M1FNType>(getElementTypeOrSelf(type));
}

/// The type with another element type, vector or not.
Type withElement(Type type, Type element) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? Type(shaped.clone(element)) : element;
}

/// Arithmetic on i32 and f32, scalars or vectors like `like`.
class Words : public ImplicitLocOpBuilder {
public:
  Words(Location loc, OpBuilder &builder, Type like)
      : ImplicitLocOpBuilder(loc, builder), i32(withElement(like, getI32Type())),
        f32(withElement(like, getF32Type())) {}

  Value constant(int64_t value) {
    return splat(i32, getI32IntegerAttr(static_cast<int32_t>(static_cast<uint32_t>(value))));
  }
  Value constantFloat(float value) { return splat(f32, getF32FloatAttr(value)); }
  Value add(Value a, Value b) { return arith::AddIOp::create(*this, a, b); }
  Value bitAnd(Value a, Value b) { return arith::AndIOp::create(*this, a, b); }
  Value bitOr(Value a, Value b) { return arith::OrIOp::create(*this, a, b); }
  Value shiftLeft(Value a, int bits) { return arith::ShLIOp::create(*this, a, constant(bits)); }
  Value shiftRight(Value a, int bits) { return arith::ShRUIOp::create(*this, a, constant(bits)); }
  Value less(Value a, Value b) {
    return arith::CmpIOp::create(*this, arith::CmpIPredicate::ult, a, b);
  }
  Value equal(Value a, Value b) {
    return arith::CmpIOp::create(*this, arith::CmpIPredicate::eq, a, b);
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(*this, condition, yes, no);
  }
  Value asInteger(Value value) { return arith::BitcastOp::create(*this, i32, value); }
  Value asFloat(Value value) { return arith::BitcastOp::create(*this, f32, value); }

  Type i32, f32;

private:
  Value splat(Type type, TypedAttr value) {
    if (auto shaped = dyn_cast<ShapedType>(type))
      return arith::ConstantOp::create(*this, DenseElementsAttr::get(shaped, Attribute(value)));
    return arith::ConstantOp::create(*this, value);
  }
};

Value encode(Words &w, Value single, const Format &format) {
  Value bits = w.asInteger(single);
  Value sign = w.bitAnd(bits, w.constant(kSingleSign));
  Value magnitude = w.bitAnd(bits, w.constant(~kSingleSign));

  // Subnormal: adding a power of two rounds at the type's last place.
  float unit = std::ldexp(1.0f, format.minExponent - format.mantissa + kSingleMantissa);
  Value shifted = arith::AddFOp::create(w, w.asFloat(magnitude), w.constantFloat(unit));
  Value small = arith::SubIOp::create(w, w.asInteger(shifted), w.asInteger(w.constantFloat(unit)));
  // Normal: adding almost half of the last place, and its parity, rounds to even.
  Value parity = w.bitAnd(w.shiftRight(magnitude, format.shift()), w.constant(1));
  int64_t half = (int64_t(1) << (format.shift() - 1)) - 1;
  Value rounded = w.add(w.add(magnitude, parity), w.constant(half - format.rebias()));
  Value large = w.shiftRight(rounded, format.shift());

  Value least = w.asInteger(w.constantFloat(std::ldexp(1.0f, format.minExponent)));
  Value code = w.select(w.less(magnitude, least), small, large);
  Value overflow = w.constant(format.overflow);
  code = w.select(w.less(w.constant(format.largest), code), overflow, code);
  Value isNan = w.less(w.constant(kSingleInf), magnitude);
  code = w.select(isNan, w.constant(format.nan), code);
  Value narrowSign = w.shiftRight(sign, 32 - format.width);
  if (!format.hasNegativeZero)
    narrowSign = w.select(w.equal(code, w.constant(0)), code, narrowSign);
  return w.bitOr(code, narrowSign);
}

Value decode(Words &w, Value code, const Format &format) {
  Value magnitude = w.bitAnd(code, w.constant(format.sign - 1));
  Value sign = w.shiftLeft(w.bitAnd(code, w.constant(format.sign)), 32 - format.width);
  float unit = std::ldexp(1.0f, format.minExponent - format.mantissa);
  Value small = w.asInteger(arith::MulFOp::create(w, arith::UIToFPOp::create(w, w.f32, magnitude),
                                                  w.constantFloat(unit)));
  Value large = w.add(w.shiftLeft(magnitude, format.shift()), w.constant(format.rebias()));
  Value isSmall = w.less(magnitude, w.constant(int64_t(1) << format.mantissa));
  Value bits = w.bitOr(w.select(isSmall, small, large), sign);
  if (!format.hasNan)
    return w.asFloat(bits);
  Value nan = w.constant(kSingleNan);
  // The one NaN of types without a negative zero is its code.
  if (!format.hasNegativeZero)
    return w.asFloat(w.select(w.equal(code, w.constant(format.nan)), nan, bits));
  Value special = nan;
  if (format.hasInfinity)
    special = w.select(w.equal(magnitude, w.constant(format.largest + 1)),
                       w.bitOr(w.constant(kSingleInf), sign), nan);
  return w.asFloat(w.select(w.less(w.constant(format.largest), magnitude), special, bits));
}

struct LowerTrunc : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncFOp op, PatternRewriter &rewriter) const override {
    Type type = op.getType(), from = op.getIn().getType();
    if (!isNarrow(type))
      return rewriter.notifyMatchFailure(op, "not a narrow float");
    Words w(op.getLoc(), rewriter, type);
    Value single = op.getIn();
    unsigned bits = getElementTypeOrSelf(from).getIntOrFloatBitWidth();
    if (bits < 32)
      single = arith::ExtFOp::create(w, w.f32, single);
    else if (bits > 32)
      return rewriter.notifyMatchFailure(op, "two roundings are not one");
    Format format(cast<FloatType>(getElementTypeOrSelf(type)));
    Value code = encode(w, single, format);
    Value byte =
        arith::TruncIOp::create(w, withElement(type, w.getIntegerType(format.width)), code);
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, type, byte);
    return success();
  }
};

struct LowerExt : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp op, PatternRewriter &rewriter) const override {
    Type type = op.getType(), from = op.getIn().getType();
    if (!isNarrow(from))
      return rewriter.notifyMatchFailure(op, "not a narrow float");
    Words w(op.getLoc(), rewriter, type);
    Format format(cast<FloatType>(getElementTypeOrSelf(from)));
    Type integer = withElement(from, w.getIntegerType(format.width));
    Value code = arith::ExtUIOp::create(w, w.i32, arith::BitcastOp::create(w, integer, op.getIn()));
    Value single = decode(w, code, format);
    unsigned bits = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
    // Every narrow float is one of f16, too, or of bf16.
    if (bits < 32)
      single = arith::TruncFOp::create(w, type, single);
    else if (bits > 32)
      single = arith::ExtFOp::create(w, type, single);
    rewriter.replaceOp(op, single);
    return success();
  }
};

} // namespace

void populateNarrowFloatPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerTrunc, LowerExt>(patterns.getContext());
}

} // namespace moec
