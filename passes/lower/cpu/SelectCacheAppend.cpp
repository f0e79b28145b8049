//===- SelectCacheAppend.cpp - caches grow by a kernel ---------------------===//
#include "lib/kernels/cpu/CacheAppend.h"
#include "passes/lower/HeadOperands.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, attn::CacheAppendOp op) {
  std::optional<CacheAppendSpec> spec = cacheAppendOf(op);
  if (!spec)
    return failure();
  CacheAppend append{*spec};
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  Value grid = append.grid(b, b.getLoc(), b.index(b.size(op.getDest(), 0)),
                           b.index(b.size(op.getDest(), 2)));
  Value y = launch(b, kernels.kernel(append), grid, cacheAppendInputs(b, op, *spec),
                   cacheAppendResult(b, op, *spec), op->getName().getStringRef())[0];
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
