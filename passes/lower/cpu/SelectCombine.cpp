//===- SelectCombine.cpp - the rows of a token are summed by a kernel ------===//
#include "lib/kernels/cpu/Combine.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

/// A kernel holds the slots of a token in registers.
static constexpr int64_t kMaxTopK = 32;

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, moe::CombineOp op) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto rows = cast<RankedTensorType>(op.getRows().getType());
  Combine combine{.rows = rows.getElementType(),
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
  auto typeOf = [&](int64_t columns, Type element) {
    return RankedTensorType::get({kDynamic, columns}, element);
  };
  SmallVector<Value> inputs{b.castTo(op.getRows(), typeOf(combine.hidden, combine.rows)),
                            b.castTo(op.getPositions(), typeOf(combine.topK, b.getI32Type()))};
  if (op.getWeights())
    inputs.push_back(b.castTo(op.getWeights(), typeOf(combine.topK, b.getF32Type())));
  RankedTensorType result = typeOf(combine.hidden, combine.element);
  if (op.getAddend())
    inputs.push_back(b.castTo(op.getAddend(), result));
  OpFoldResult tokens = b.size(op.getPositions(), 0);
  Value y = launch(b, kernels.kernel(combine), b.index(tokens), inputs, result,
                   {tokens, b.getIndexAttr(combine.hidden)}, op->getName().getStringRef());
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
