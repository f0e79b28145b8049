//===- AttnOps.cpp - what ODS cannot say of the operations ----------------===//
#include "dialects/attn/AttnDialect.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#define GET_OP_CLASSES
#include "dialects/attn/AttnOps.cpp.inc"

using namespace mlir;

namespace moec::attn {

static RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The sizes of `value` from dimension `from` on must be those of `like`.
static LogicalResult verifyTrailing(Operation *op, StringRef name, Value value, Value x,
                                    int64_t axis) {
  int64_t rank = tensorType(value).getRank(), expected = tensorType(x).getRank() - axis;
  if (rank != expected)
    return op->emitOpError("requires ")
           << name << " of rank " << expected << ", but it is " << rank;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (failed(verifySameSize(op, {name, value, dim}, {"x", x, axis + dim})))
      return failure();
  return success();
}

static LogicalResult verifyAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis < 0 || axis >= rank)
    return op->emitOpError("requires 0 <= axis < ") << rank << ", but axis is " << axis;
  return success();
}

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  RankedTensorType q = tensorType(adaptor.getQ()), v = tensorType(adaptor.getV());
  types.push_back(RankedTensorType::get(
      {q.getDimSize(0), q.getDimSize(1), q.getDimSize(2), v.getDimSize(3)}, q.getElementType()));
  return success();
}

LogicalResult AttentionOp::reifyResultShapes(OpBuilder &builder,
                                             ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, getLoc(), getQ());
  sizes[3] = tensor::getMixedSize(builder, getLoc(), getV(), 3);
  shapes.push_back(sizes);
  return success();
}

/// C3.
template <typename Op> static LogicalResult verifyScoreOperand(Op op, StringRef name, Value value) {
  if (!value)
    return success();
  if (failed(verifyBroadcastSize(op, {name, value, 0}, {"q", op.getQ(), 0})) ||
      failed(verifyBroadcastSize(op, {name, value, 1}, {"q", op.getQ(), 2})) ||
      failed(verifyBroadcastSize(op, {name, value, 2}, {"q", op.getQ(), 1})))
    return failure();
  int64_t length = tensorType(value).getDimSize(3), keys = tensorType(op.getK()).getDimSize(2);
  if (!ShapedType::isDynamic(length) && !ShapedType::isDynamic(keys) && length > keys)
    return op.emitOpError("requires dimension 3 of ")
           << name << " to be at most the " << keys << " keys, but it is " << length;
  return success();
}

/// What attention and scores have in common.
template <typename Op> static LogicalResult verifyScores(Op op) {
  // C1
  if (failed(verifySameSize(op, {"q", op.getQ(), 3}, {"k", op.getK(), 3})) ||
      failed(verifySameSize(op, {"q", op.getQ(), 0}, {"k", op.getK(), 0})))
    return failure();
  // C2
  int64_t heads = tensorType(op.getQ()).getDimSize(2);
  int64_t kvHeads = tensorType(op.getK()).getDimSize(1);
  if (!ShapedType::isDynamic(heads) && !ShapedType::isDynamic(kvHeads) &&
      (kvHeads == 0 || heads % kvHeads != 0))
    return op.emitOpError(
               "requires the query heads to be a multiple of the key heads, but they are ")
           << heads << " and " << kvHeads;
  // C3
  if (failed(verifyScoreOperand(op, "bias", op.getBias())) ||
      failed(verifyScoreOperand(op, "mask", op.getMask())))
    return failure();
  // C4
  if ((op.getKvLengths() &&
       failed(verifySameSize(op, {"kv_lengths", op.getKvLengths(), 0}, {"q", op.getQ(), 0}))) ||
      (op.getQOffsets() &&
       failed(verifySameSize(op, {"q_offsets", op.getQOffsets(), 0}, {"q", op.getQ(), 0}))))
    return failure();
  // C5
  if (op.getLeft() < -1 || op.getRight() < -1)
    return op.emitOpError("requires left and right of at least -1, but they are ")
           << op.getLeft() << " and " << op.getRight();
  if (op.getSoftcap().isNegative())
    return op.emitOpError("requires a softcap that is not negative");
  // C6
  if (tensorType(op.getK()).getElementType() != tensorType(op.getQ()).getElementType())
    return op.emitOpError("requires q, k and v of one element type");
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyScores(*this)))
    return failure();
  // C1
  for (int64_t dim : {0, 1, 2})
    if (failed(verifySameSize(*this, {"k", getK(), dim}, {"v", getV(), dim})))
      return failure();
  // C4
  if (getSink() && failed(verifySameSize(*this, {"sink", getSink(), 0}, {"q", getQ(), 2})))
    return failure();
  // C5
  if (getChunk() < 1)
    return emitOpError("requires a positive chunk, but it is ") << getChunk();
  // C6
  if (tensorType(getV()).getElementType() != tensorType(getQ()).getElementType())
    return emitOpError("requires q, k and v of one element type");
  return success();
}

//===----------------------------------------------------------------------===//
// scores
//===----------------------------------------------------------------------===//

LogicalResult ScoresOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  RankedTensorType q = tensorType(adaptor.getQ()), k = tensorType(adaptor.getK());
  types.push_back(RankedTensorType::get(
      {q.getDimSize(0), q.getDimSize(2), q.getDimSize(1), k.getDimSize(2)}, q.getElementType()));
  return success();
}

LogicalResult ScoresOp::reifyResultShapes(OpBuilder &builder, ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> q = tensor::getMixedSizes(builder, getLoc(), getQ());
  shapes.push_back({q[0], q[2], q[1], tensor::getMixedSize(builder, getLoc(), getK(), 2)});
  return success();
}

LogicalResult ScoresOp::verify() { return verifyScores(*this); }

//===----------------------------------------------------------------------===//
// linear_attention
//===----------------------------------------------------------------------===//

LogicalResult LinearAttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                                  Adaptor adaptor, SmallVectorImpl<Type> &types) {
  RankedTensorType q = tensorType(adaptor.getQ()), v = tensorType(adaptor.getV());
  RankedTensorType state = tensorType(adaptor.getState());
  bool isKnown = !q.isDynamicDim(2) && !v.isDynamicDim(2);
  int64_t heads = isKnown ? std::max(q.getDimSize(2), v.getDimSize(2)) : ShapedType::kDynamic;
  types.push_back(RankedTensorType::get({q.getDimSize(0), q.getDimSize(1), heads, v.getDimSize(3)},
                                        q.getElementType()));
  types.push_back(state);
  return success();
}

LogicalResult LinearAttentionOp::reifyResultShapes(OpBuilder &builder,
                                                   ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, getLoc(), getQ());
  SmallVector<OpFoldResult> values = tensor::getMixedSizes(builder, getLoc(), getV());
  AffineExpr n, m;
  bindSymbols(builder.getContext(), n, m);
  sizes[2] = affine::makeComposedFoldedAffineMax(
      builder, getLoc(), AffineMap::get(0, 2, {n, m}, builder.getContext()), {sizes[2], values[2]});
  sizes[3] = values[3];
  shapes.push_back(sizes);
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getState()));
  return success();
}

/// C2: one number of heads is a multiple of the other.
static LogicalResult verifyMultiple(Operation *op, OperandDim many, OperandDim few) {
  if (ShapedType::isDynamic(many.size()) || ShapedType::isDynamic(few.size()) ||
      (few.size() != 0 && many.size() % few.size() == 0))
    return success();
  return op->emitOpError("requires the heads of ")
         << many.name << " to be a multiple of those of " << few.name << ", but they are "
         << many.size() << " and " << few.size();
}

LogicalResult LinearAttentionOp::verify() {
  auto verifySame = [&](ArrayRef<std::pair<OperandDim, OperandDim>> pairs) {
    return success(llvm::all_of(pairs, [&](auto pair) {
      return succeeded(verifySameSize(*this, pair.first, pair.second));
    }));
  };
  Value q = getQ(), k = getK(), v = getV(), state = getState();
  // C1
  if (failed(verifySame({{{"q", q, 0}, {"k", k, 0}},
                         {{"q", q, 1}, {"k", k, 1}},
                         {{"q", q, 3}, {"k", k, 3}},
                         {{"q", q, 0}, {"v", v, 0}},
                         {{"q", q, 1}, {"v", v, 1}},
                         {{"state", state, 0}, {"q", q, 0}},
                         {{"state", state, 1}, {"v", v, 2}},
                         {{"state", state, 2}, {"q", q, 3}},
                         {{"state", state, 3}, {"v", v, 3}}})))
    return failure();
  // C2
  OperandDim queries{"q", q, 2}, states{"v", v, 2};
  bool hasMoreStates = states.size() > queries.size();
  if (failed(verifyMultiple(*this, hasMoreStates ? states : queries,
                            hasMoreStates ? queries : states)) ||
      failed(verifyMultiple(*this, states, {"k", k, 2})))
    return failure();
  // C3
  if (Value decay = getDecay())
    if (failed(verifySame({{{"decay", decay, 0}, {"q", q, 0}},
                           {{"decay", decay, 1}, {"q", q, 1}},
                           {{"decay", decay, 2}, {"v", v, 2}}})) ||
        failed(verifyBroadcastSize(*this, {"decay", decay, 3}, {"q", q, 3})))
      return failure();
  if (Value beta = getBeta())
    if (failed(verifySame({{{"beta", beta, 0}, {"q", q, 0}}, {{"beta", beta, 1}, {"q", q, 1}}})) ||
        failed(verifyBroadcastSize(*this, {"beta", beta, 2}, {"v", v, 2})))
      return failure();
  // C4
  Type element = tensorType(q).getElementType();
  if (tensorType(k).getElementType() != element || tensorType(v).getElementType() != element)
    return emitOpError("requires q, k and v of one element type");
  return success();
}

//===----------------------------------------------------------------------===//
// cache_append
//===----------------------------------------------------------------------===//

LogicalResult CacheAppendOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                              Adaptor adaptor, SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getDest().getType());
  return success();
}

LogicalResult CacheAppendOp::reifyResultShapes(OpBuilder &builder,
                                               ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getDest()));
  return success();
}

LogicalResult CacheAppendOp::verify() {
  // C1
  for (int64_t dim : {0, 1, 3})
    if (failed(verifySameSize(*this, {"past", getPast(), dim}, {"dest", getDest(), dim})))
      return failure();
  for (auto [from, to] : {std::pair(0, 0), std::pair(2, 1), std::pair(3, 3)})
    if (failed(verifySameSize(*this, {"update", getUpdate(), from}, {"dest", getDest(), to})))
      return failure();
  Type element = tensorType(getDest()).getElementType();
  if (tensorType(getPast()).getElementType() != element ||
      tensorType(getUpdate()).getElementType() != element)
    return emitOpError("requires past, update and dest of one element type");
  // C2
  if (getLengths())
    return verifySameSize(*this, {"lengths", getLengths(), 0}, {"dest", getDest(), 0});
  return success();
}

//===----------------------------------------------------------------------===//
// rope
//===----------------------------------------------------------------------===//

LogicalResult RopeOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getX().getType());
  return success();
}

LogicalResult RopeOp::reifyResultShapes(OpBuilder &builder, ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getX()));
  return success();
}

LogicalResult RopeOp::verify() {
  // C1
  int64_t rank = tensorType(getCos()).getRank(), expected = getPositions() ? 2 : 3;
  if (rank != expected || tensorType(getSin()).getRank() != expected)
    return emitOpError("requires caches of rank ")
           << expected << (getPositions() ? " with positions" : " without positions")
           << ", but they are " << rank << " and " << tensorType(getSin()).getRank();
  for (int64_t dim = 0; dim < rank; ++dim)
    if (failed(verifySameSize(*this, {"cos", getCos(), dim}, {"sin", getSin(), dim})))
      return failure();
  // C1, C3
  StringRef name = getPositions() ? "positions" : "cos";
  Value perToken = getPositions() ? getPositions() : getCos();
  for (int64_t dim : {0, 1})
    if (failed(verifySameSize(*this, {name, perToken, dim}, {"x", getX(), dim})))
      return failure();
  // C2
  int64_t half = tensorType(getCos()).getDimSize(rank - 1), head = tensorType(getX()).getDimSize(3);
  if (!ShapedType::isDynamic(half) && !ShapedType::isDynamic(head) && 2 * half > head)
    return emitOpError("requires at most as many rotated dimensions as the head has, but they are ")
           << 2 * half << " and " << head;
  return success();
}

//===----------------------------------------------------------------------===//
// norms
//===----------------------------------------------------------------------===//

LogicalResult RmsNormOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getX().getType());
  return success();
}

LogicalResult RmsNormOp::reifyResultShapes(OpBuilder &builder,
                                           ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getX()));
  return success();
}

LogicalResult RmsNormOp::verify() {
  // C1
  if (failed(verifyAxis(*this, getAxis(), tensorType(getX()).getRank())))
    return failure();
  // C2
  return verifyTrailing(*this, "scale", getScale(), getX(), getAxis());
}

LogicalResult LayerNormOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                                            Adaptor adaptor, SmallVectorImpl<Type> &types) {
  RankedTensorType x = tensorType(adaptor.getX());
  SmallVector<int64_t> shape(x.getShape());
  for (int64_t dim = std::max<int64_t>(adaptor.getAxis(), 0); dim < x.getRank(); ++dim)
    shape[dim] = 1;
  Type statistic = x.getElementType().isF64() ? x.getElementType() : Float32Type::get(context);
  types.push_back(x);
  types.append(2, RankedTensorType::get(shape, statistic));
  return success();
}

LogicalResult LayerNormOp::reifyResultShapes(OpBuilder &builder,
                                             ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, getLoc(), getX());
  shapes.push_back(sizes);
  for (int64_t dim = getAxis(), rank = sizes.size(); dim < rank; ++dim)
    sizes[dim] = builder.getIndexAttr(1);
  shapes.append(2, sizes);
  return success();
}

LogicalResult LayerNormOp::verify() {
  // C1
  if (failed(verifyAxis(*this, getAxis(), tensorType(getX()).getRank())))
    return failure();
  // C2
  if (failed(verifyTrailing(*this, "scale", getScale(), getX(), getAxis())))
    return failure();
  return getBias() ? verifyTrailing(*this, "bias", getBias(), getX(), getAxis()) : success();
}

} // namespace moec::attn
