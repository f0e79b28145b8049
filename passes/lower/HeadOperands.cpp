#include "passes/lower/HeadOperands.h"

using namespace mlir;

namespace moec {

static constexpr int64_t kDynamic = ShapedType::kDynamic;

static RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

std::optional<RopeSpec> ropeOf(attn::RopeOp op) {
  RankedTensorType x = typeOf(op.getX()), cache = typeOf(op.getCos());
  RopeSpec rope{.element = x.getElementType(),
                .cache = cache.getElementType(),
                .heads = x.getDimSize(2),
                .depth = x.getDimSize(3),
                .pairs = cache.getShape().back(),
                .isInterleaved = op.getInterleaved(),
                .hasPositions = static_cast<bool>(op.getPositions())};
  if (!isKernelFloat(rope.element) || !isKernelFloat(rope.cache) ||
      typeOf(op.getSin()).getElementType() != rope.cache || !isKnownSize(rope.heads) ||
      !isKnownSize(rope.depth) || !isKnownSize(rope.pairs))
    return std::nullopt;
  return rope;
}

SmallVector<Value> ropeInputs(TensorBuilder &b, attn::RopeOp op, const RopeSpec &spec) {
  SmallVector<int64_t> cacheShape(typeOf(op.getCos()).getRank(), kDynamic);
  cacheShape.back() = spec.pairs;
  auto x = RankedTensorType::get({kDynamic, kDynamic, spec.heads, spec.depth}, spec.element);
  auto cache = RankedTensorType::get(cacheShape, spec.cache);
  SmallVector<Value> inputs{b.castTo(op.getX(), x), b.castTo(op.getCos(), cache),
                            b.castTo(op.getSin(), cache)};
  if (op.getPositions())
    inputs.push_back(
        b.castTo(op.getPositions(), RankedTensorType::get({kDynamic, kDynamic}, b.getI64Type())));
  return inputs;
}

Value ropeResult(TensorBuilder &b, attn::RopeOp op, const RopeSpec &spec) {
  Value empty = tensor::EmptyOp::create(b, b.sizes(op.getX()), spec.element);
  return b.castTo(
      empty, RankedTensorType::get({kDynamic, kDynamic, spec.heads, spec.depth}, spec.element));
}

std::optional<CacheAppendSpec> cacheAppendOf(attn::CacheAppendOp op) {
  RankedTensorType dest = typeOf(op.getDest());
  CacheAppendSpec append{.element = dest.getElementType(),
                         .heads = dest.getDimSize(1),
                         .depth = dest.getDimSize(3),
                         .hasLengths = static_cast<bool>(op.getLengths())};
  if (!isKnownSize(append.heads) || !isKnownSize(append.depth))
    return std::nullopt;
  return append;
}

static RankedTensorType cacheType(const CacheAppendSpec &spec) {
  return RankedTensorType::get({kDynamic, spec.heads, kDynamic, spec.depth}, spec.element);
}

SmallVector<Value> cacheAppendInputs(TensorBuilder &b, attn::CacheAppendOp op,
                                     const CacheAppendSpec &spec) {
  auto update = RankedTensorType::get({kDynamic, kDynamic, spec.heads, spec.depth}, spec.element);
  SmallVector<Value> inputs{b.castTo(op.getPast(), cacheType(spec)),
                            b.castTo(op.getUpdate(), update)};
  if (op.getLengths())
    inputs.push_back(b.castTo(op.getLengths(), RankedTensorType::get(kDynamic, b.getI64Type())));
  return inputs;
}

Value cacheAppendResult(TensorBuilder &b, attn::CacheAppendOp op, const CacheAppendSpec &spec) {
  return b.castTo(op.getDest(), cacheType(spec));
}

} // namespace moec
