//===- ScheduleExperts.cpp - experts multiply their rows together ---------===//
#include "passes/Passes.h"

#include "dialects/moe/MoeDialect.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace moec {
#define GEN_PASS_DEF_SCHEDULEEXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

using namespace moe;

struct ScheduleExperts : OpRewritePattern<ExpertsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ExpertsOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto hidden = cast<RankedTensorType>(op.getX().getType());
    int64_t experts = cast<RankedTensorType>(op.getWIn().getType()).getDimSize(0);
    int64_t topK = cast<RankedTensorType>(op.getIds().getType()).getDimSize(1);
    if (ShapedType::isDynamic(experts) || ShapedType::isDynamic(topK))
      return rewriter.notifyMatchFailure(op, "requires known numbers of experts");
    auto permute = PermuteOp::create(rewriter, loc, op.getIds(), experts);
    Value none;
    Matrix in = op.getIn(), out = op.getOut(), up = op.getUp();
    Value scales = op.getScaleInput() ? op.getWeights() : none;
    auto first = GroupedMatmulOp::create(
        rewriter, loc, op.getX(), in.weights, permute.getSlots(), permute.getOffsets(),
        /*experts=*/none, scales, in.bias, in.scales, in.zeroPoints, up.weights, up.bias, up.scales,
        up.zeroPoints, hidden.getElementType(), topK, op.getActivationAttr(), op.getQuantAttr(),
        op.getInt8Rows());
    auto second = GroupedMatmulOp::create(
        rewriter, loc, first, out.weights, /*slots=*/none, permute.getOffsets(), /*experts=*/none,
        /*input_scales=*/none, out.bias, out.scales, out.zeroPoints, none, none, none, none,
        rewriter.getF32Type(), /*slots_per_row=*/1, /*activation=*/ActivationAttr(),
        op.getQuantAttr(), op.getInt8Rows());
    Value weights = op.getScaleInput() ? none : Value(op.getWeights());
    auto combine = CombineOp::create(rewriter, loc, second, permute.getPositions(), weights,
                                     /*addend=*/none, hidden.getElementType());
    combine.getResult().setType(cast<RankedTensorType>(op.getType()));
    rewriter.replaceOp(op, combine);
    return success();
  }
};

struct ScheduleExpertsPass : moec::impl::ScheduleExpertsPassBase<ScheduleExpertsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ScheduleExperts>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace moec
