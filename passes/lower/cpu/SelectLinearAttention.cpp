//===- SelectLinearAttention.cpp - states are updated by a kernel ----------===//
#include "lib/kernels/cpu/LinearAttention.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {

static RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

/// The kernel for `op`, if one computes it.
static std::optional<LinearAttention> describe(attn::LinearAttentionOp op) {
  RankedTensorType q = typeOf(op.getQ()), k = typeOf(op.getK()), v = typeOf(op.getV());
  LinearAttention attention{.element = q.getElementType(),
                            .state = typeOf(op.getState()).getElementType(),
                            .queryHeads = q.getDimSize(2),
                            .keyHeads = k.getDimSize(2),
                            .stateHeads = v.getDimSize(2),
                            .depth = q.getDimSize(3),
                            .width = v.getDimSize(3),
                            .scale = op.getScale().convertToDouble()};
  SmallVector<Type> elements{attention.element, attention.state};
  SmallVector<int64_t> sizes{attention.queryHeads, attention.keyHeads, attention.stateHeads,
                             attention.depth, attention.width};
  if (Value decay = op.getDecay()) {
    elements.push_back(attention.decay = typeOf(decay).getElementType());
    sizes.push_back(attention.decayDepth = typeOf(decay).getDimSize(3));
  }
  if (Value beta = op.getBeta()) {
    elements.push_back(attention.beta = typeOf(beta).getElementType());
    sizes.push_back(attention.betaHeads = typeOf(beta).getDimSize(2));
  }
  if (!llvm::all_of(elements, isKernelFloat) || !llvm::all_of(sizes, isKnownSize))
    return std::nullopt;
  return attention;
}

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter,
                           attn::LinearAttentionOp op) {
  std::optional<LinearAttention> attention = describe(op);
  if (!attention)
    return failure();
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  auto castTo = [&](Value tensor, ArrayRef<int64_t> shape, Type element) {
    return b.castTo(tensor, RankedTensorType::get(shape, element));
  };
  auto perToken = [&](Value tensor, int64_t heads, int64_t size, Type element) {
    return castTo(tensor, {kDynamic, kDynamic, heads, size}, element);
  };
  const LinearAttention &a = *attention;
  int64_t state[] = {kDynamic, a.stateHeads, a.depth, a.width};
  SmallVector<Value> inputs{perToken(op.getQ(), a.queryHeads, a.depth, a.element),
                            perToken(op.getK(), a.keyHeads, a.depth, a.element),
                            perToken(op.getV(), a.stateHeads, a.width, a.element),
                            castTo(op.getState(), state, a.state)};
  if (a.decayDepth)
    inputs.push_back(perToken(op.getDecay(), a.stateHeads, a.decayDepth, a.decay));
  if (a.betaHeads)
    inputs.push_back(castTo(op.getBeta(), {kDynamic, kDynamic, a.betaHeads}, a.beta));

  OpFoldResult batch = b.size(op.getQ(), 0), tokens = b.size(op.getQ(), 1);
  auto index = [&](int64_t size) { return b.getIndexAttr(size); };
  Value result = tensor::EmptyOp::create(
      b, ArrayRef<OpFoldResult>{batch, tokens, index(a.heads()), index(a.width)}, a.element);
  Value present = tensor::EmptyOp::create(
      b, ArrayRef<OpFoldResult>{batch, index(a.stateHeads), index(a.depth), index(a.width)},
      a.state);
  Value grid = a.grid(b, b.getLoc(), kernels.getChip(), b.index(batch));
  SmallVector<Value> outputs =
      launch(b, kernels.kernel(a), grid, inputs,
             {perToken(result, a.heads(), a.width, a.element), castTo(present, state, a.state)},
             op->getName().getStringRef());
  rewriter.replaceOp(op, {b.castTo(outputs[0], op.getResult().getType()),
                          b.castTo(outputs[1], op.getPresent().getType())});
  return success();
}

} // namespace moec
