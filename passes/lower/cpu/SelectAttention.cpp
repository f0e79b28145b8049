//===- SelectAttention.cpp - attention becomes one kernel ------------------===//
#include "lib/kernels/cpu/Attention.h"
#include "passes/lower/AttentionOperands.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

/// Threads have stacks of megabytes; a kernel's scratch memory takes this much.
static constexpr int64_t kMaxScratchElements = 1 << 18;

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, attn::AttentionOp op) {
  std::optional<AttentionSpec> spec = attentionOf(op);
  if (!spec)
    return failure();
  Attention attention{*spec};
  if (attention.scratchElements() > kMaxScratchElements)
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  Value grid =
      attention.grid(b, b.getLoc(), b.index(b.size(op.getQ(), 0)), b.index(b.size(op.getQ(), 1)));
  Value y = launch(b, kernels.kernel(attention), grid, attentionInputs(b, op, *spec),
                   attentionResult(b, op, *spec), op->getName().getStringRef())[0];
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
