#include "passes/lower/AttentionOperands.h"

using namespace mlir;

namespace moec {

static constexpr int64_t kDynamic = ShapedType::kDynamic;

static RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

std::optional<AttentionSpec> attentionOf(attn::AttentionOp op) {
  RankedTensorType q = typeOf(op.getQ()), k = typeOf(op.getK()), v = typeOf(op.getV());
  int64_t heads = q.getDimSize(2), kvHeads = k.getDimSize(1);
  int64_t depth = q.getDimSize(3), valueDepth = v.getDimSize(3);
  if (!isKernelFloat(q.getElementType()) || !isKnownSize(heads) || !isKnownSize(kvHeads) ||
      !isKnownSize(depth) || !isKnownSize(valueDepth))
    return std::nullopt;
  AttentionSpec attention{.element = q.getElementType(),
                          .kvHeads = kvHeads,
                          .group = heads / kvHeads,
                          .depth = depth,
                          .valueDepth = valueDepth,
                          .chunk = op.getChunk(),
                          .hasBias = static_cast<bool>(op.getBias()),
                          .hasMask = static_cast<bool>(op.getMask()),
                          .hasLengths = static_cast<bool>(op.getKvLengths()),
                          .hasOffsets = static_cast<bool>(op.getQOffsets()),
                          .scale = op.getScale().convertToDouble(),
                          .softcap = op.getSoftcap().convertToDouble(),
                          .left = op.getLeft(),
                          .right = op.getRight()};
  if (op.getSink())
    attention.sink = typeOf(op.getSink()).getElementType();
  for (Value operand : {op.getBias(), op.getSink()})
    if (operand && !isKernelFloat(typeOf(operand).getElementType()))
      return std::nullopt;
  return attention;
}

/// A mask as bytes, since vectors of i1 are packed in memory; a bias as f32.
static Value widened(TensorBuilder &b, Value operand) {
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

SmallVector<Value> attentionInputs(TensorBuilder &b, attn::AttentionOp op,
                                   const AttentionSpec &spec) {
  SmallVector<Value> inputs;
  auto add = [&](Value tensor, ArrayRef<int64_t> shape) {
    if (tensor)
      inputs.push_back(
          b.castTo(tensor, RankedTensorType::get(shape, typeOf(tensor).getElementType())));
  };
  SmallVector<int64_t> any(4, kDynamic);
  add(op.getQ(), {kDynamic, kDynamic, spec.heads(), spec.depth});
  add(op.getK(), {kDynamic, spec.kvHeads, kDynamic, spec.depth});
  add(op.getV(), {kDynamic, spec.kvHeads, kDynamic, spec.valueDepth});
  for (Value operand : {op.getBias(), op.getMask()})
    if (operand)
      add(widened(b, operand), any);
  add(op.getSink(), spec.heads());
  add(op.getKvLengths(), kDynamic);
  add(op.getQOffsets(), kDynamic);
  return inputs;
}

Value attentionResult(TensorBuilder &b, attn::AttentionOp op, const AttentionSpec &spec) {
  SmallVector<OpFoldResult> sizes = b.sizes(op.getQ());
  sizes[2] = b.getIndexAttr(spec.heads());
  sizes[3] = b.getIndexAttr(spec.valueDepth);
  Value empty = tensor::EmptyOp::create(b, sizes, spec.element);
  return b.castTo(empty, RankedTensorType::get({kDynamic, kDynamic, spec.heads(), spec.valueDepth},
                                               spec.element));
}

} // namespace moec
