//===- SelectPermute.cpp - slots are sorted by a block ---------------------===//
#include "lib/kernels/cuda/Permute.h"
#include "passes/lower/cuda/CudaKernels.h"

using namespace mlir;

namespace moec {

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, moe::PermuteOp op) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  cuda::Permute permute{op.getExperts(),
                        cast<RankedTensorType>(op.getIds().getType()).getDimSize(1)};
  if (!isKnownSize(permute.topK) || !permute.isSupported())
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  Type i32 = b.getI32Type();
  auto ids = RankedTensorType::get({kDynamic, permute.topK}, i32);
  Value tokens = b.index(b.size(op.getIds(), 0));
  Value slots = b.mul(tokens, b.index(permute.topK));
  SmallVector<Value> outputs{
      tensor::EmptyOp::create(b, RankedTensorType::get(permute.experts + 1, i32), ValueRange()),
      tensor::EmptyOp::create(b, RankedTensorType::get(kDynamic, i32), slots),
      tensor::EmptyOp::create(b, ids, tokens)};
  SmallVector<Value> results =
      launch(b, kernels.kernel(permute), b.index(1), b.castTo(op.getIds(), ids), outputs,
             op->getName().getStringRef());
  for (auto [result, type] : llvm::zip_equal(results, op->getResultTypes()))
    result = b.castTo(result, type);
  rewriter.replaceOp(op, results);
  return success();
}

} // namespace moec
