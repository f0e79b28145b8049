//===- SelectRoute.cpp - routers become one kernel -------------------------===//
#include "lib/kernels/cpu/Route.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

/// A kernel holds the scores of a token on the stack.
static constexpr int64_t kMaxExperts = 4096;

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, moe::RouteOp op) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto elementOf = [](Value tensor) {
    return tensor ? cast<RankedTensorType>(tensor.getType()).getElementType() : Type();
  };
  Route route{.logits = elementOf(op.getLogits()),
              .bias = elementOf(op.getSelectionBias()),
              .values = elementOf(op.getValues()),
              .experts = cast<RankedTensorType>(op.getLogits().getType()).getDimSize(1),
              .router = op.getRouter()};
  if (!isKnownSize(route.experts) || route.experts > kMaxExperts)
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  auto typeOf = [&](int64_t columns, Type element) {
    return RankedTensorType::get({kDynamic, columns}, element);
  };
  SmallVector<Value> inputs{b.castTo(op.getLogits(), typeOf(route.experts, route.logits))};
  if (op.getSelectionBias())
    inputs.push_back(
        b.castTo(op.getSelectionBias(), RankedTensorType::get(route.experts, route.bias)));
  if (op.getValues())
    inputs.push_back(b.castTo(op.getValues(), typeOf(route.experts, route.values)));
  OpFoldResult tokens = b.size(op.getLogits(), 0);
  auto output = [&](Type element) {
    int64_t topK = route.router.getTopK();
    Value empty = tensor::EmptyOp::create(b, {tokens, b.getIndexAttr(topK)}, element);
    return b.castTo(empty, typeOf(topK, element));
  };
  SmallVector<Value> outputs{output(b.getI32Type()), output(b.getF32Type())};
  SmallVector<Value> results = launch(b, kernels.kernel(route), b.index(tokens), inputs, outputs,
                                      op->getName().getStringRef());
  rewriter.replaceOp(op, {b.castTo(results[0], op.getIds().getType()),
                          b.castTo(results[1], op.getWeights().getType())});
  return success();
}

} // namespace moec
