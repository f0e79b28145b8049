#include "passes/lower/DeviceMath.h"

#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace moec {
namespace {

/// Functions that an instruction or a few compute, in every type.
bool isNative(Operation *op) {
  return isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::CopySignOp, math::CountLeadingZerosOp,
             math::CountTrailingZerosOp, math::CtPopOp, math::FloorOp, math::FmaOp,
             math::IsFiniteOp, math::IsInfOp, math::IsNaNOp, math::IsNormalOp, math::RoundEvenOp,
             math::RoundOp, math::RsqrtOp, math::SqrtOp, math::TruncOp>(op);
}

bool isApproximated(StringRef name) {
  return llvm::is_contained({math::AcosOp::getOperationName(), math::AsinOp::getOperationName(),
                             math::AtanOp::getOperationName(), math::Atan2Op::getOperationName(),
                             math::CbrtOp::getOperationName(), math::ErfOp::getOperationName(),
                             math::ErfcOp::getOperationName(), math::ExpM1Op::getOperationName(),
                             math::Log1pOp::getOperationName(), math::Log2Op::getOperationName()},
                            name);
}

/// Arithmetic in double precision.
class Doubles : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value constant(double value) { return arith::ConstantOp::create(*this, getF64FloatAttr(value)); }
  Value word(int64_t value) { return arith::ConstantOp::create(*this, getI64IntegerAttr(value)); }
  Value mul(Value a, Value b) { return arith::MulFOp::create(*this, a, b); }
  Value fma(Value a, Value b, Value c) { return math::FmaOp::create(*this, a, b, c); }
  /// c[0] + x c[1] + x^2 c[2] + ...
  Value polynomial(Value x, ArrayRef<double> coefficients) {
    Value sum = constant(coefficients.back());
    for (double coefficient : llvm::reverse(coefficients.drop_back()))
      sum = fma(sum, x, constant(coefficient));
    return sum;
  }
};

/// The Taylor series, of which the first term left out is below 1e-12 where
/// |x| < 1.
constexpr double kSine[] = {
    1.0,          -1.0 / 6,        1.0 / 120,          -1.0 / 5040,
    1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0, -1.0 / 1307674368000.0};
constexpr double kCosine[] = {1.0,         -1.0 / 2,       1.0 / 24,          -1.0 / 720,
                              1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600.0, -1.0 / 87178291200.0};

/// sin(x + turn pi/2). The argument is reduced in two steps with exact products,
/// which is right to single precision up to 2^50; NaN beyond.
Value sine(Doubles &b, Value single, int64_t turn) {
  constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
  constexpr double kHalfPi = 0x1.921fb54442d18p+0, kHalfPiRest = 0x1.1a62633145c07p-54;
  constexpr double kMost = 0x1p50;
  Value x = arith::ExtFOp::create(b, b.getF64Type(), single);
  Value turns = math::RoundEvenOp::create(b, b.mul(x, b.constant(kTwoOverPi)));
  Value rest = b.fma(turns, b.constant(-kHalfPi), x);
  rest = b.fma(turns, b.constant(-kHalfPiRest), rest);
  Value square = b.mul(rest, rest);
  Value odd = b.mul(rest, b.polynomial(square, kSine));
  Value even = b.polynomial(square, kCosine);
  Value isReducible = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT,
                                            math::AbsFOp::create(b, x), b.constant(kMost));
  // Converting what does not fit is poison.
  Value whole = arith::SelectOp::create(b, isReducible, turns, b.constant(0));
  Value quarter = arith::FPToSIOp::create(b, b.getI64Type(), whole);
  quarter = arith::AddIOp::create(b, quarter, b.word(turn));
  auto hasBit = [&](int64_t bit) -> Value {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                 arith::AndIOp::create(b, quarter, b.word(bit)), b.word(0));
  };
  Value result = arith::SelectOp::create(b, hasBit(1), even, odd);
  result = arith::SelectOp::create(b, hasBit(2), arith::NegFOp::create(b, result), result);
  Value nan = b.constant(std::numeric_limits<double>::quiet_NaN());
  result = arith::SelectOp::create(b, isReducible, result, nan);
  return arith::TruncFOp::create(b, b.getF32Type(), result);
}

template <typename Op, int64_t turn> struct LowerSine : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (!op.getType().isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    Doubles b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, sine(b, op.getOperand(), turn));
    return success();
  }
};

/// The nodes that launch `kernel`, for a message.
void attachNodes(InFlightDiagnostic &diagnostic, func::FuncOp kernel) {
  SymbolTable::UseRange uses = *SymbolTable::getSymbolUses(kernel, kernel->getParentOp());
  for (SymbolTable::SymbolUse use : uses)
    if (StringRef node = onnxName(use.getUser()->getLoc()); !node.empty())
      diagnostic << (use.getUser() == uses.begin()->getUser() ? ", needed by node '" : ", '")
                 << node << "'";
}

} // namespace

void populateDeviceMathPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerSine<math::SinOp, 0>, LowerSine<math::CosOp, 1>>(patterns.getContext());
  populateMathPolynomialApproximationPatterns(patterns, isApproximated);
}

LogicalResult verifyDeviceMath(ModuleOp module) {
  bool valid = true;
  for (auto kernel : module.getOps<func::FuncOp>()) {
    if (!kernel->hasAttr(rt::LaunchOp::kKernelAttr))
      continue;
    kernel.walk([&](Operation *op) {
      if (!isa_and_nonnull<math::MathDialect>(op->getDialect()) || isNative(op))
        return;
      valid = false;
      InFlightDiagnostic diagnostic = op->emitError("no kernel of a device can compute '")
                                      << op->getName() << "' of " << op->getResult(0).getType();
      attachNodes(diagnostic, kernel);
    });
  }
  return success(valid);
}

} // namespace moec
