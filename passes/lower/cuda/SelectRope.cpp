//===- SelectRope.cpp - heads are rotated, 16 bytes a thread ---------------===//
#include "passes/lower/cuda/HeadLaunches.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, attn::RopeOp op) {
  if (!ropeOf(op) || isRotatedByAppend(op))
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  HeadLaunch<cuda::Rope> rope = prepareRope(b, op);
  Value y = launch(b, kernels.kernel(rope.kernel), rope.grid, rope.inputs, rope.output,
                   op->getName().getStringRef())[0];
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
