//===- Clean.cpp - canonicalise and share common subexpressions -----------===//
#include "passes/Passes.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Rewrite/FrozenRewritePatternSet.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace moec {
#define GEN_PASS_DEF_CLEANPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

struct CleanPass : impl::CleanPassBase<CleanPass> {
  using CleanPassBase::CleanPassBase;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet all(context);
    for (Dialect *dialect : context->getLoadedDialects())
      dialect->getCanonicalizationPatterns(all);
    for (RegisteredOperationName op : context->getRegisteredOperations())
      op.getCanonicalizationPatterns(all, context);
    patterns = std::move(all);
    return success();
  }

  void runOnOperation() override {
    // Regions are of one block each until the last stage.
    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (!kernels && function->hasAttr(rt::LaunchOp::kKernelAttr))
        continue;
      // That a bound on the iterations was hit is no mistake.
      (void)applyPatternsGreedily(function, patterns, config);
      DominanceInfo dominance(function);
      IRRewriter rewriter(&getContext());
      eliminateCommonSubExpressions(rewriter, dominance, function);
    }
  }

  FrozenRewritePatternSet patterns;
};

} // namespace
} // namespace moec
