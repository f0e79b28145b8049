//===- SelectPermute.cpp - slots are sorted by a kernel --------------------===//
#include "lib/kernels/cpu/Permute.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

/// A kernel holds a number for each expert on the stack.
static constexpr int64_t kMaxExperts = 4096;

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, moe::PermuteOp op) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  Permute permute{.experts = op.getExperts(),
                  .topK = cast<RankedTensorType>(op.getIds().getType()).getDimSize(1)};
  if (!isKnownSize(permute.topK) || permute.experts > kMaxExperts)
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  Type i32 = b.getI32Type();
  auto perSlot = RankedTensorType::get({kDynamic, permute.topK}, i32);
  OpFoldResult tokens = b.size(op.getIds(), 0), topK = b.getIndexAttr(permute.topK);
  OpFoldResult slots = b.mul(b.index(tokens), b.index(topK));
  auto output = [&](TensorBuilder::Sizes sizes, RankedTensorType type) {
    return b.castTo(tensor::EmptyOp::create(b, sizes, i32), type);
  };
  SmallVector<Value> outputs{output({b.getIndexAttr(permute.experts + 1)},
                                    RankedTensorType::get(permute.experts + 1, i32)),
                             output({slots}, RankedTensorType::get(kDynamic, i32)),
                             output({tokens, topK}, perSlot)};
  SmallVector<Value> results =
      launch(b, kernels.kernel(permute), b.index(1), b.castTo(op.getIds(), perSlot), outputs,
             op->getName().getStringRef());
  for (auto [result, type] : llvm::zip_equal(results, op.getResultTypes()))
    result = b.castTo(result, type);
  rewriter.replaceOp(op, results);
  return success();
}

} // namespace moec
