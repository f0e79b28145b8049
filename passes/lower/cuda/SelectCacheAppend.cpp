//===- SelectCacheAppend.cpp - caches grow by blocks of threads ------------===//
#include "passes/lower/cuda/HeadLaunches.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, attn::CacheAppendOp op) {
  if (!cacheAppendOf(op))
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  HeadLaunch<cuda::CacheAppend> append = prepareAppend(b, op);
  Value y = launch(b, kernels.kernel(append.kernel), append.grid, append.inputs, append.output,
                   op->getName().getStringRef())[0];
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
