//===- SelectHeadUpdate.cpp - what precedes attention becomes one kernel ---===//
#include "lib/kernels/cuda/HeadUpdate.h"
#include "passes/lower/cuda/HeadLaunches.h"

using namespace mlir;

namespace moec {
namespace {

/// Whether everything that reads `op` comes behind `last`, which is in its block.
bool isReadAfter(Operation *op, Operation *last) {
  return llvm::all_of(op->getUsers(), [&](Operation *user) {
    Operation *here = last->getBlock()->findAncestorOpInBlock(*user);
    return here && last->isBeforeInBlock(here);
  });
}

} // namespace

LogicalResult selectHeadUpdate(CudaKernels &kernels, RewriterBase &rewriter, attn::AttentionOp op) {
  auto queries = op.getQ().getDefiningOp<attn::RopeOp>();
  auto keys = op.getK().getDefiningOp<attn::CacheAppendOp>();
  auto values = op.getV().getDefiningOp<attn::CacheAppendOp>();
  if (!queries || !keys || !values || keys == values || !ropeOf(queries) || !cacheAppendOf(keys) ||
      !cacheAppendOf(values))
    return failure();
  Operation *all[] = {queries, keys, values}, *last = queries;
  for (Operation *part : all) {
    if (part->getBlock() != op->getBlock())
      return failure();
    last = last->isBeforeInBlock(part) ? part : last;
  }
  if (!llvm::all_of(all, [&](Operation *part) { return isReadAfter(part, last); }))
    return failure();
  rewriter.setInsertionPointAfter(last);
  TensorBuilder b(rewriter, keys.getLoc());
  HeadLaunch<cuda::Rope> q = prepareRope(b, queries);
  HeadLaunch<cuda::CacheAppend> k = prepareAppend(b, keys), v = prepareAppend(b, values);
  SmallVector<Value> inputs(q.inputs);
  llvm::append_range(inputs, k.inputs);
  llvm::append_range(inputs, v.inputs);
  SmallVector<Value> results =
      launch(b, kernels.kernel(cuda::HeadUpdate{q.kernel, k.kernel, v.kernel}),
             b.add(b.add(q.grid, k.grid), v.grid), inputs, {q.output, k.output, v.output},
             keys->getName().getStringRef());
  for (auto [part, result] : llvm::zip_equal(all, results))
    rewriter.replaceOp(part, b.castTo(result, part->getResult(0).getType()));
  return success();
}

} // namespace moec
