//===- LowerMath.cpp - elementary functions as arithmetic -----------------===//
#include "passes/Passes.h"
#include "passes/lower/DeviceMath.h"
#include "passes/lower/NarrowFloats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace moec {
#define GEN_PASS_DEF_LOWERMATHPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

/// The functions of hot loops; on CPUs the others call libm.
bool isApproximated(StringRef name) {
  return llvm::is_contained({math::ExpOp::getOperationName(), math::TanhOp::getOperationName(),
                             math::LogOp::getOperationName()},
                            name);
}

/// The passes that widen narrow floats permit the roundings between them to be
/// fused away; the model asks for each.
void keepRoundings(ModuleOp module) {
  module.walk([](Operation *op) {
    if (auto widen = dyn_cast<arith::ExtFOp>(op))
      widen.removeFastmathAttr();
    else if (auto round = dyn_cast<arith::TruncFOp>(op))
      round.removeFastmathAttr();
  });
}

struct LowerMathPass : impl::LowerMathPassBase<LowerMathPass> {
  using Base::Base;

  void runOnOperation() override {
    keepRoundings(getOperation());
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns, isApproximated);
    arith::populateCeilFloorDivExpandOpsPatterns(patterns);
    arith::populateExpandBFloat16Patterns(patterns);
    arith::populateExpandF8E8M0Patterns(patterns);
    populateNarrowFloatPatterns(patterns);
    if (device)
      populateDeviceMathPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))) ||
        (device && failed(verifyDeviceMath(getOperation()))))
      signalPassFailure();
  }
};

} // namespace
} // namespace moec
