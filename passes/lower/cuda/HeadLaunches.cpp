#include "passes/lower/cuda/HeadLaunches.h"

using namespace mlir;

namespace moec {

bool isRotatedByAppend(attn::RopeOp op) {
  if (!op->hasOneUse() || !ropeOf(op))
    return false;
  OpOperand &use = *op->use_begin();
  auto append = dyn_cast<attn::CacheAppendOp>(use.getOwner());
  return append && &use == &append.getUpdateMutable() && cacheAppendOf(append);
}

HeadLaunch<cuda::Rope> prepareRope(TensorBuilder &b, attn::RopeOp op) {
  cuda::Rope rope{*ropeOf(op)};
  Value tokens = b.mul(b.index(b.size(op.getX(), 0)), b.index(b.size(op.getX(), 1)));
  return {rope, ropeInputs(b, op, rope), ropeResult(b, op, rope), rope.grid(b, b.getLoc(), tokens)};
}

HeadLaunch<cuda::CacheAppend> prepareAppend(TensorBuilder &b, attn::CacheAppendOp op) {
  cuda::CacheAppend append{*cacheAppendOf(op)};
  SmallVector<Value> angles;
  auto rope = op.getUpdate().getDefiningOp<attn::RopeOp>();
  if (rope && isRotatedByAppend(rope)) {
    append.rope = ropeOf(rope);
    angles = ropeInputs(b, rope, *append.rope);
    angles.erase(angles.begin());
    op.getUpdateMutable().assign(rope.getX());
    rope.erase();
  }
  SmallVector<Value> inputs = cacheAppendInputs(b, op, append);
  llvm::append_range(inputs, angles);
  Value dest = op.getDest();
  Value grid = append.grid(b, b.getLoc(), b.index(b.size(dest, 0)), b.index(b.size(dest, 2)),
                           b.index(b.size(op.getUpdate(), 1)));
  return {append, inputs, cacheAppendResult(b, op, append), grid};
}

} // namespace moec
