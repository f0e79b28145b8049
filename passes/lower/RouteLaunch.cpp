#include "passes/lower/RouteLaunch.h"

using namespace mlir;

namespace moec {
namespace {

/// What a kernel has to compute, if its sizes are known.
std::optional<RouteSpec> routeOf(moe::RouteOp op) {
  auto elementOf = [](Value tensor) {
    return tensor ? cast<RankedTensorType>(tensor.getType()).getElementType() : Type();
  };
  RouteSpec route{.logits = elementOf(op.getLogits()),
                  .bias = elementOf(op.getSelectionBias()),
                  .values = elementOf(op.getValues()),
                  .experts = cast<RankedTensorType>(op.getLogits().getType()).getDimSize(1),
                  .router = op.getRouter()};
  return isKnownSize(route.experts) ? std::optional(route) : std::nullopt;
}

SmallVector<Value> inputsOf(TensorBuilder &b, moe::RouteOp op, const RouteSpec &route) {
  SmallVector<Value> inputs{b.castTo(op.getLogits(), tensorOf(route.experts, route.logits))};
  if (op.getSelectionBias())
    inputs.push_back(
        b.castTo(op.getSelectionBias(), RankedTensorType::get(route.experts, route.bias)));
  if (op.getValues())
    inputs.push_back(b.castTo(op.getValues(), tensorOf(route.experts, route.values)));
  return inputs;
}

} // namespace

LogicalResult launchRoute(RewriterBase &rewriter, moe::RouteOp op, ChooseKernel<RouteSpec> kernel) {
  std::optional<RouteSpec> route = routeOf(op);
  if (!route)
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  OpFoldResult tokens = b.size(op.getLogits(), 0);
  std::optional<KernelGrid> chosen = kernel(b, *route, b.index(tokens));
  if (!chosen)
    return failure();
  int64_t topK = route->router.getTopK();
  auto output = [&](Type element) {
    Value empty = tensor::EmptyOp::create(b, {tokens, b.getIndexAttr(topK)}, element);
    return b.castTo(empty, tensorOf(topK, element));
  };
  SmallVector<Value> outputs{output(b.getI32Type()), output(b.getF32Type())};
  SmallVector<Value> results = launch(b, chosen->kernel, chosen->grid, inputsOf(b, op, *route),
                                      outputs, op->getName().getStringRef());
  rewriter.replaceOp(op, {b.castTo(results[0], op.getIds().getType()),
                          b.castTo(results[1], op.getWeights().getType())});
  return success();
}

} // namespace moec
