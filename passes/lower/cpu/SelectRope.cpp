//===- SelectRope.cpp - heads are rotated by a kernel ----------------------===//
#include "lib/kernels/cpu/Rope.h"
#include "passes/lower/HeadOperands.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, attn::RopeOp op) {
  std::optional<RopeSpec> spec = ropeOf(op);
  if (!spec)
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  Value tokens = b.mul(b.index(b.size(op.getX(), 0)), b.index(b.size(op.getX(), 1)));
  Value y = launch(b, kernels.kernel(Rope{*spec}), tokens, ropeInputs(b, op, *spec),
                   ropeResult(b, op, *spec), op->getName().getStringRef())[0];
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
