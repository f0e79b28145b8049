//===- SelectAttention.cpp - attention becomes one kernel ------------------===//
#include "lib/kernels/cpu/Attention.h"
#include "passes/lower/cpu/CpuKernels.h"

using namespace mlir;

namespace moec {
namespace {

/// Threads have stacks of megabytes; a kernel's scratch memory takes this much.
constexpr int64_t kMaxScratchElements = 1 << 18;

RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

/// What a kernel has to compute, if one can.
std::optional<Attention> attentionOf(attn::AttentionOp op) {
  RankedTensorType q = typeOf(op.getQ()), k = typeOf(op.getK()), v = typeOf(op.getV());
  int64_t heads = q.getDimSize(2), kvHeads = k.getDimSize(1);
  int64_t depth = q.getDimSize(3), valueDepth = v.getDimSize(3);
  if (!isKernelFloat(q.getElementType()) || !isKnownSize(heads) || !isKnownSize(kvHeads) ||
      !isKnownSize(depth) || !isKnownSize(valueDepth))
    return std::nullopt;
  Attention attention{.element = q.getElementType(),
                      .kvHeads = kvHeads,
                      .group = heads / kvHeads,
                      .depth = depth,
                      .valueDepth = valueDepth,
                      .chunk = static_cast<int64_t>(op.getChunk()),
                      .hasBias = static_cast<bool>(op.getBias()),
                      .hasMask = static_cast<bool>(op.getMask()),
                      .hasLengths = static_cast<bool>(op.getKvLengths()),
                      .hasOffsets = static_cast<bool>(op.getQOffsets()),
                      .scale = op.getScale().convertToDouble(),
                      .softcap = op.getSoftcap().convertToDouble(),
                      .left = static_cast<int64_t>(op.getLeft()),
                      .right = static_cast<int64_t>(op.getRight())};
  if (op.getSink())
    attention.sink = typeOf(op.getSink()).getElementType();
  for (Value operand : {op.getBias(), op.getSink()})
    if (operand && !isKernelFloat(typeOf(operand).getElementType()))
      return std::nullopt;
  if (attention.scratchElements() > kMaxScratchElements)
    return std::nullopt;
  return attention;
}

/// A mask as bytes, since vectors of i1 are packed in memory; a bias as f32.
Value widened(TensorBuilder &b, Value operand) {
  Type element = typeOf(operand).getElementType();
  if (element.isF32())
    return operand;
  Type wide = element.isInteger(1) ? Type(b.getI8Type()) : b.getF32Type();
  return b.compute(b.sizes(operand), {{operand, {0, 1, 2, 3}}}, wide,
                   [&](TensorBuilder &b, ValueRange v) -> Value {
                     if (element.isInteger(1))
                       return arith::ExtUIOp::create(b, wide, v[0]);
                     return b.convert(v[0], wide);
                   });
}

} // namespace

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, attn::AttentionOp op) {
  std::optional<Attention> attention = attentionOf(op);
  if (!attention)
    return failure();
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  int64_t heads = attention->kvHeads * attention->group;
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  SmallVector<Value> inputs;
  auto add = [&](Value tensor, ArrayRef<int64_t> shape) {
    if (tensor)
      inputs.push_back(
          b.castTo(tensor, RankedTensorType::get(shape, typeOf(tensor).getElementType())));
  };
  SmallVector<int64_t> any(4, kDynamic);
  add(op.getQ(), {kDynamic, kDynamic, heads, attention->depth});
  add(op.getK(), {kDynamic, attention->kvHeads, kDynamic, attention->depth});
  add(op.getV(), {kDynamic, attention->kvHeads, kDynamic, attention->valueDepth});
  for (Value operand : {op.getBias(), op.getMask()})
    if (operand)
      add(widened(b, operand), any);
  add(op.getSink(), heads);
  add(op.getKvLengths(), kDynamic);
  add(op.getQOffsets(), kDynamic);
  SmallVector<OpFoldResult> sizes = b.sizes(op.getQ());
  sizes[2] = b.getIndexAttr(heads);
  sizes[3] = b.getIndexAttr(attention->valueDepth);
  auto type =
      RankedTensorType::get({kDynamic, kDynamic, heads, attention->valueDepth}, attention->element);
  Value grid = attention->grid(b, b.getLoc(), b.index(sizes[0]), b.index(sizes[1]));
  Value y = launch(b, kernels.kernel(*attention), grid, inputs, type, sizes,
                   op->getName().getStringRef());
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
