#include "passes/raise/ops/Heads.h"

#include "dialects/attn/AttnDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {

Tensor sliceDim(Emitter &e, Tensor x, int64_t dim, OpFoldResult offset, OpFoldResult size) {
  if (isConstantIntValue(offset, 0) && e.equal(size, x.shape[dim]))
    return x;
  SmallVector<OpFoldResult> offsets(x.rank(), e.size(0)), strides(x.rank(), e.size(1));
  Scalars shape = x.shape;
  offsets[dim] = offset;
  shape[dim] = size;
  Value slice = tensor::ExtractSliceOp::create(e, e.value(x), offsets, shape, strides);
  return e.tensor(slice, x.elementType, shape);
}

Tensor splitHeads(Emitter &e, Tensor x, int64_t heads) {
  return e.reshape(x, {x.shape[0], x.shape[1], e.size(heads), e.divide(x.shape[2], e.size(heads))});
}

Tensor mergeHeads(Emitter &e, Tensor x) {
  return e.reshape(x, {x.shape[0], x.shape[1], e.mul(x.shape[2], x.shape[3])});
}

Tensor swapHeads(Emitter &e, Tensor x) { return e.transpose(x, {0, 2, 1, 3}); }

/// Models declare caches with sizes that only their use makes known. An input
/// that is nothing but a cache takes them on, so that it can be session state.
static void refineInput(Value past, RankedTensorType known) {
  auto argument = dyn_cast<BlockArgument>(past);
  if (!argument || !llvm::all_of(past.getUsers(), llvm::IsaPred<tensor::DimOp, onnx::NodeOp>) ||
      llvm::count_if(past.getUsers(), llvm::IsaPred<onnx::NodeOp>) != 1)
    return;
  auto declared = cast<RankedTensorType>(past.getType());
  SmallVector<int64_t> shape(declared.getShape());
  for (int64_t dim : {1, 3})
    if (declared.isDynamicDim(dim))
      shape[dim] = known.getDimSize(dim);
  argument.setType(declared.clone(shape));
}

Tensor appendToCache(Emitter &e, std::optional<Tensor> past, Tensor update, OpFoldResult total,
                     Value lengths) {
  Scalars shape{update.shape[0], update.shape[2], total, update.shape[3]};
  Type element = signlessType(update.elementType);
  if (!past) {
    Scalars none = shape;
    none[2] = e.size(0);
    past = Tensor{e.empty(none, element), update.elementType, none, std::nullopt};
  }
  Value dest = e.empty(shape, element);
  refineInput(e.value(*past), cast<RankedTensorType>(dest.getType()));
  auto append = attn::CacheAppendOp::create(e, e.value(*past), e.value(update), lengths, dest);
  return e.tensor(append, update.elementType, shape);
}

Value perRow(Emitter &e, OpFoldResult batch, function_ref<Value(Emitter &, Value)> body) {
  Tensor rows = e.generate({batch}, e.getIntegerType(64, /*isSigned=*/true),
                           [&](Emitter &e, ValueRange at) { return body(e, at[0]); });
  return e.value(rows);
}

Value perRow(Emitter &e, OpFoldResult batch, OpFoldResult value) {
  return perRow(e, batch, [&](Emitter &e, Value) -> Value {
    return arith::IndexCastOp::create(e, e.getI64Type(), e.index(value));
  });
}

Tensor Attend::emit(Emitter &e) const {
  auto optional = [&](std::optional<Tensor> tensor) { return tensor ? e.value(*tensor) : Value(); };
  auto op = attn::AttentionOp::create(e, e.value(Tensor(q)), e.value(Tensor(k)), e.value(Tensor(v)),
                                      optional(bias), optional(mask), optional(sink), kvLengths,
                                      qOffsets, APFloat(scale), left, right, APFloat(softcap));
  return e.tensor(op, q.elementType, {q.shape[0], q.shape[1], q.shape[2], v.shape[3]});
}

void Attend::setScale(Emitter &e, double asked) {
  scale = asked;
  if (asked != 0)
    return;
  if (std::optional<int64_t> depth = getConstantIntValue(q.shape[3])) {
    scale = 1 / std::sqrt(double(*depth));
    return;
  }
  // A head size known at run time only: the queries are scaled instead.
  scale = 1;
  Type type = q.elementType, wide = type.isF64() ? type : Type(e.getF32Type());
  Value depth = arith::IndexCastOp::create(e, e.getI64Type(), e.index(q.shape[3]));
  Value root = math::SqrtOp::create(e, arith::SIToFPOp::create(e, wide, depth));
  q = e.elementwise({q}, type, [&](Emitter &e, ValueRange v) {
    return e.convert(arith::DivFOp::create(e, e.convert(v[0], type, wide), root), wide, type);
  });
}

LogicalResult Attend::setMask(Node &node, Tensor given) {
  if (given.rank() > 4)
    return node.refuse("a mask has at most 4 dimensions, but this one has ") << given.rank();
  if (given.rank() == 0)
    return node.refuse("a mask has at least 1 dimension");
  while (given.rank() < 4)
    given = node.emitter.unsqueeze(given, 0);
  if (given.isBool())
    mask = given;
  else if (given.isFloat())
    bias = given;
  else
    return node.refuse("a mask is boolean or float, but this one is ") << given.elementType;
  return success();
}

} // namespace moec::raise
