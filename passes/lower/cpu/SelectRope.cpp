//===- SelectRope.cpp - heads are rotated by a kernel ----------------------===//
#include "lib/kernels/cpu/Rope.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, attn::RopeOp op) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto x = cast<RankedTensorType>(op.getX().getType());
  auto cache = cast<RankedTensorType>(op.getCos().getType());
  Type sine = cast<RankedTensorType>(op.getSin().getType()).getElementType();
  Rope rope{.element = x.getElementType(),
            .cache = cache.getElementType(),
            .heads = x.getDimSize(2),
            .depth = x.getDimSize(3),
            .pairs = cache.getShape().back(),
            .isInterleaved = op.getInterleaved(),
            .hasPositions = static_cast<bool>(op.getPositions())};
  if (!isKernelFloat(rope.element) || !isKernelFloat(rope.cache) || sine != rope.cache ||
      !isKnownSize(rope.heads) || !isKnownSize(rope.depth) || !isKnownSize(rope.pairs))
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  auto type = RankedTensorType::get({kDynamic, kDynamic, rope.heads, rope.depth}, rope.element);
  SmallVector<int64_t> cacheShape(cache.getRank(), kDynamic);
  cacheShape.back() = rope.pairs;
  auto cacheType = RankedTensorType::get(cacheShape, rope.cache);
  SmallVector<Value> inputs{b.castTo(op.getX(), type), b.castTo(op.getCos(), cacheType),
                            b.castTo(op.getSin(), cacheType)};
  if (op.getPositions())
    inputs.push_back(
        b.castTo(op.getPositions(), RankedTensorType::get({kDynamic, kDynamic}, b.getI64Type())));
  SmallVector<OpFoldResult> sizes = b.sizes(op.getX());
  Value tokens = b.mul(b.index(sizes[0]), b.index(sizes[1]));
  Value y =
      launch(b, kernels.kernel(rope), tokens, inputs, type, sizes, op->getName().getStringRef());
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
