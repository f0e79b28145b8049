//===- SelectCacheAppend.cpp - caches grow by a kernel ---------------------===//
#include "lib/kernels/cpu/CacheAppend.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, attn::CacheAppendOp op) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto dest = cast<RankedTensorType>(op.getDest().getType());
  CacheAppend append{.element = dest.getElementType(),
                     .heads = dest.getDimSize(1),
                     .depth = dest.getDimSize(3),
                     .hasLengths = static_cast<bool>(op.getLengths())};
  if (!isKnownSize(append.heads) || !isKnownSize(append.depth))
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  auto cache =
      RankedTensorType::get({kDynamic, append.heads, kDynamic, append.depth}, append.element);
  auto update =
      RankedTensorType::get({kDynamic, kDynamic, append.heads, append.depth}, append.element);
  SmallVector<Value> inputs{b.castTo(op.getPast(), cache), b.castTo(op.getUpdate(), update)};
  if (op.getLengths())
    inputs.push_back(b.castTo(op.getLengths(), RankedTensorType::get(kDynamic, b.getI64Type())));
  Value grid = append.grid(b, b.getLoc(), b.index(b.size(op.getDest(), 0)),
                           b.index(b.size(op.getDest(), 2)));
  Value y = launch(b, kernels.kernel(append), grid, inputs, b.castTo(op.getDest(), cache),
                   op->getName().getStringRef())[0];
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
