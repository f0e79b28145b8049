#include "passes/lower/CombineLaunch.h"

using namespace mlir;

namespace moec {

/// Kernels hold the slots of a token in registers.
static constexpr int64_t kMaxTopK = 32;

LogicalResult launchCombine(RewriterBase &rewriter, moe::CombineOp op,
                            ChooseKernel<CombineSpec> kernel) {
  auto rows = cast<RankedTensorType>(op.getRows().getType());
  CombineSpec combine{.rows = rows.getElementType(),
                      .element = op.getElement(),
                      .topK = cast<RankedTensorType>(op.getPositions().getType()).getDimSize(1),
                      .hidden = rows.getDimSize(1),
                      .hasWeights = static_cast<bool>(op.getWeights()),
                      .hasAddend = static_cast<bool>(op.getAddend())};
  if (!isKernelFloat(combine.rows) || !isKernelFloat(combine.element) ||
      !isKnownSize(combine.hidden) || !isKnownSize(combine.topK) || combine.topK > kMaxTopK)
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  OpFoldResult tokens = b.size(op.getPositions(), 0);
  std::optional<KernelGrid> chosen = kernel(b, combine, b.index(tokens));
  if (!chosen)
    return failure();
  SmallVector<Value> inputs{b.castTo(op.getRows(), tensorOf(combine.hidden, combine.rows)),
                            b.castTo(op.getPositions(), tensorOf(combine.topK, b.getI32Type()))};
  if (op.getWeights())
    inputs.push_back(b.castTo(op.getWeights(), tensorOf(combine.topK, b.getF32Type())));
  RankedTensorType result = tensorOf(combine.hidden, combine.element);
  if (op.getAddend())
    inputs.push_back(b.castTo(op.getAddend(), result));
  Value y = launch(b, chosen->kernel, chosen->grid, inputs, result,
                   {tokens, b.getIndexAttr(combine.hidden)}, op->getName().getStringRef());
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
