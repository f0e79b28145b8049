//===- Rotary.cpp - rotary position embeddings -----------------------------===//
#include "passes/raise/ops/Rotary.h"

#include "dialects/attn/AttnDialect.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/raise/ops/Heads.h"

using namespace mlir;

namespace moec::raise {

Tensor rotate(Emitter &e, Tensor x, Tensor cos, Tensor sin, const std::optional<Tensor> &positions,
              bool interleaved) {
  Value ids;
  if (positions)
    ids = e.value(e.cast(*positions, e.getIntegerType(64, /*isSigned=*/true)));
  auto op = attn::RopeOp::create(e, e.value(x), e.value(cos), e.value(sin), ids, interleaved);
  return e.tensor(op, x.elementType, x.shape);
}

namespace {

/// Rotates heads, however the input holds them: [B,S,N*D] or [B,N,S,D].
LogicalResult rotateInput(Node &node, Tensor cos, Tensor sin,
                          const std::optional<Tensor> &positions, std::optional<int64_t> heads) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  bool isFlat = x.rank() == 3;
  if (!isFlat && x.rank() != 4)
    return node.refuse("the input has 3 or 4 dimensions, but this one has ") << x.rank();
  if (isFlat && !heads)
    return node.refuse("an input of 3 dimensions needs num_heads");
  Tensor split = isFlat ? splitHeads(e, x, *heads) : swapHeads(e, x);
  int64_t rotated = node.intAttr("rotary_embedding_dim", 0);
  std::optional<int64_t> half = getConstantIntValue(cos.shape.back());
  std::optional<int64_t> size = getConstantIntValue(split.shape[3]);
  if (rotated == 0 && size)
    rotated = *size;
  if (rotated && half && *half != rotated / 2)
    return node.refuse("the caches hold ")
           << *half << " angles, but " << rotated << " dimensions rotate";
  Tensor y = rotate(e, split, cos, sin, positions, node.intAttr("interleaved", 0));
  return node.set(0, isFlat ? mergeHeads(e, y) : swapHeads(e, y));
}

LogicalResult lowerRotaryEmbedding(Node &node) {
  int64_t heads = node.intAttr("num_heads", 0);
  std::optional<Tensor> positions = node.has(3) ? std::optional(node.in(3)) : std::nullopt;
  return rotateInput(node, node.in(1), node.in(2), positions,
                     heads ? std::optional(heads) : std::nullopt);
}

/// com.microsoft's takes positions before the caches, or one offset.
LogicalResult lowerContribRotaryEmbedding(Node &node) {
  Emitter &e = node.emitter;
  if (node.floatAttr("scale", 1) != 1)
    return node.refuse("scale ") << node.floatAttr("scale", 1) << " has no defined meaning";
  if (node.intAttr("is_packed_batching", 0))
    return node.refuse("packed batching is not supported");
  Tensor x = node.in(0), positions = node.in(1), cos = node.in(2);
  int64_t stated = node.intAttr("num_heads", 0);
  std::optional<int64_t> heads;
  if (x.rank() == 3) {
    std::optional<int64_t> hidden = getConstantIntValue(x.shape[2]);
    std::optional<int64_t> half = getConstantIntValue(cos.shape.back());
    // Without rotary_embedding_dim the caches, not num_heads, say how wide a
    // head is.
    if (node.intAttr("rotary_embedding_dim", 0))
      heads = stated;
    else if (hidden && half && *half)
      heads = *hidden / (2 * *half);
    if (!heads || *heads == 0)
      return node.refuse("the number of heads is unknown");
  }
  if (positions.rank() == 1) {
    Tensor offset = positions;
    Value first = e.value(offset);
    OpFoldResult sequence = x.shape[x.rank() == 3 ? 1 : 2];
    positions = e.generate({x.shape[0], sequence}, e.getIntegerType(64, /*isSigned=*/true),
                           [&](Emitter &e, ValueRange at) -> Value {
                             Value step = arith::IndexCastOp::create(e, e.getI64Type(), at[1]);
                             return arith::AddIOp::create(e, e.read(first, e.index(0)), step);
                           });
  }
  return rotateInput(node, cos, node.in(3), positions, heads);
}

const OperatorInfo kTable[] = {
    {"", "RotaryEmbedding", 3, 4, lowerRotaryEmbedding, 23},
    {kMicrosoft, "RotaryEmbedding", 4, 4, lowerContribRotaryEmbedding},
};

} // namespace

ArrayRef<OperatorInfo> rotaryOperators() { return kTable; }

} // namespace moec::raise
