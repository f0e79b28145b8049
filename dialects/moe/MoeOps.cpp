//===- MoeOps.cpp - what ODS cannot say of the operations -----------------===//
#include "dialects/moe/MoeDialect.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#define GET_OP_CLASSES
#include "dialects/moe/MoeOps.cpp.inc"

using namespace mlir;

namespace moec::moe {

static RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }
static int64_t sizeOf(Value value, int64_t dim) { return tensorType(value).getDimSize(dim); }
static bool isKnown(int64_t size) { return !ShapedType::isDynamic(size); }

/// Requires the size to be `expected` where both are known.
static LogicalResult verifySize(Operation *op, StringRef name, Value value, int64_t dim,
                                int64_t expected) {
  int64_t size = sizeOf(value, dim);
  if (!isKnown(size) || !isKnown(expected) || size == expected)
    return success();
  return op->emitOpError("requires dimension ")
         << dim << " of " << name << " to be " << expected << ", but it is " << size;
}

static int64_t ceilDiv(int64_t value, int64_t by) {
  return isKnown(value) ? llvm::divideCeil(value, by) : value;
}

/// A matrix [experts, rows, depth] and what belongs to it.
static LogicalResult verifyMatrix(Operation *op, const Matrix &matrix, QuantAttr quant,
                                  int64_t experts, int64_t rows, int64_t depth) {
  auto named = [&](const char *part) { return (part + matrix.name).str(); };
  std::string weights = named("w"), bias = named("b"), scales = named("s"), zeros = named("z");
  bool isPacked = tensorType(matrix.weights).getElementType().isInteger(8);
  if (isPacked != static_cast<bool>(quant) || isPacked != static_cast<bool>(matrix.scales) ||
      (matrix.zeroPoints && !isPacked))
    return op->emitOpError("requires ") << weights << " to be of i8, scaled and under quant, or "
                                        << "none of these";
  int64_t perByte = quant ? 8 / quant.getBits() : 1;
  if (failed(verifySize(op, weights, matrix.weights, 0, experts)) ||
      failed(verifySize(op, weights, matrix.weights, 1, rows)) ||
      failed(verifySize(op, weights, matrix.weights, 2, ceilDiv(depth, perByte))))
    return failure();
  if (matrix.bias && (failed(verifySize(op, bias, matrix.bias, 0, experts)) ||
                      failed(verifySize(op, bias, matrix.bias, 1, rows))))
    return failure();
  if (!quant)
    return success();
  int64_t blocks = quant.getBlock() ? ceilDiv(depth, quant.getBlock()) : 1;
  if (failed(verifySize(op, scales, matrix.scales, 0, experts)) ||
      failed(verifySize(op, scales, matrix.scales, 1, rows)) ||
      failed(verifySize(op, scales, matrix.scales, 2, blocks)))
    return failure();
  if (!matrix.zeroPoints)
    return success();
  RankedTensorType type = tensorType(matrix.zeroPoints);
  bool isFloat = isa<FloatType>(type.getElementType());
  if (isFloat && type.getRank() != 3)
    return op->emitOpError("requires ") << zeros << " of floats to have the shape of the scales";
  if (failed(verifySize(op, zeros, matrix.zeroPoints, 0, experts)))
    return failure();
  if (type.getRank() == 2)
    return verifySize(op, zeros, matrix.zeroPoints, 1, ceilDiv(rows, perByte));
  if (failed(verifySize(op, zeros, matrix.zeroPoints, 1, rows)))
    return failure();
  return verifySize(op, zeros, matrix.zeroPoints, 2, isFloat ? blocks : ceilDiv(blocks, perByte));
}

//===----------------------------------------------------------------------===//
// route
//===----------------------------------------------------------------------===//

LogicalResult RouteOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                                        Adaptor adaptor, SmallVectorImpl<Type> &types) {
  int64_t tokens = sizeOf(adaptor.getLogits(), 0), topK = adaptor.getRouter().getTopK();
  types.push_back(RankedTensorType::get({tokens, topK}, IntegerType::get(context, 32)));
  types.push_back(RankedTensorType::get({tokens, topK}, Float32Type::get(context)));
  return success();
}

LogicalResult RouteOp::reifyResultShapes(OpBuilder &builder, ReifiedRankedShapedTypeDims &shapes) {
  OpFoldResult topK = builder.getIndexAttr(getRouter().getTopK());
  shapes.append(2, {tensor::getMixedSize(builder, getLoc(), getLogits(), 0), topK});
  return success();
}

LogicalResult RouteOp::verify() {
  // C1
  if (getSelectionBias() && failed(verifySameSize(*this, {"selection_bias", getSelectionBias(), 0},
                                                  {"logits", getLogits(), 1})))
    return failure();
  for (int64_t dim : {0, 1})
    if (getValues() &&
        failed(verifySameSize(*this, {"values", getValues(), dim}, {"logits", getLogits(), dim})))
      return failure();
  // C2
  RouterAttr router = getRouter();
  int64_t experts = sizeOf(getLogits(), 1), groups = router.getGroups();
  if (isKnown(experts) && router.getTopK() > experts)
    return emitOpError("requires 1 <= top_k <= ")
           << experts << ", but top_k is " << router.getTopK();
  if (groups > 1) {
    if (!isKnown(experts) || experts % groups != 0)
      return emitOpError("requires a known number of experts that is a multiple of the ")
             << groups << " groups";
    int64_t kept = experts / groups * router.getKeptGroups();
    if (router.getTopK() > kept)
      return emitOpError("requires top_k of at most the ")
             << kept << " experts of the kept groups, but it is " << router.getTopK();
    if (router.getGroupScore() == GroupScore::top2_sum && experts / groups < 2)
      return emitOpError("requires groups of at least two experts for top2_sum");
  }
  // C3
  if (router.getScore() == Score::sparse_mixer && (getSelectionBias() || getValues()))
    return emitOpError("requires the sparse mixer to have neither bias nor values");
  return success();
}

//===----------------------------------------------------------------------===//
// experts
//===----------------------------------------------------------------------===//

LogicalResult ExpertsOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getX().getType());
  return success();
}

LogicalResult ExpertsOp::reifyResultShapes(OpBuilder &builder,
                                           ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getX()));
  return success();
}

Matrix ExpertsOp::getIn() { return {getWIn(), getBIn(), getSIn(), getZIn(), "_in"}; }
Matrix ExpertsOp::getOut() { return {getWOut(), getBOut(), getSOut(), getZOut(), "_out"}; }
Matrix ExpertsOp::getUp() { return {getWUp(), getBUp(), getSUp(), getZUp(), "_up"}; }

LogicalResult ExpertsOp::verify() {
  // C1
  if (failed(verifySameSize(*this, {"ids", getIds(), 0}, {"x", getX(), 0})))
    return failure();
  for (int64_t dim : {0, 1})
    if (failed(verifySameSize(*this, {"weights", getWeights(), dim}, {"ids", getIds(), dim})))
      return failure();
  // C4
  bool isSeparate = getActivation().getGate() == Gate::separate;
  if (isSeparate != static_cast<bool>(getWUp()) ||
      (!getWUp() && (getBUp() || getSUp() || getZUp())))
    return emitOpError("requires w_up for a separate gate, and only for it");
  // C2, C3, C5
  int64_t experts = sizeOf(getWIn(), 0), hidden = sizeOf(getX(), 1), rows = sizeOf(getWIn(), 1);
  int64_t inner = rows;
  if (getActivation().isFused() && isKnown(rows)) {
    if (rows % 2 != 0)
      return emitOpError("requires an even number of rows of w_in for a fused gate, but it is ")
             << rows;
    inner = rows / 2;
  }
  QuantAttr quant = getQuantAttr();
  if (failed(verifyMatrix(*this, getIn(), quant, experts, rows, hidden)) ||
      failed(verifyMatrix(*this, getOut(), quant, experts, hidden, inner)))
    return failure();
  return isSeparate ? verifyMatrix(*this, getUp(), quant, experts, inner, hidden) : success();
}

//===----------------------------------------------------------------------===//
// permute
//===----------------------------------------------------------------------===//

LogicalResult PermuteOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                                          Adaptor adaptor, SmallVectorImpl<Type> &types) {
  Type i32 = IntegerType::get(context, 32);
  RankedTensorType ids = tensorType(adaptor.getIds());
  int64_t slots = ids.hasStaticShape() ? ids.getNumElements() : ShapedType::kDynamic;
  types.push_back(RankedTensorType::get({adaptor.getExperts() + 1}, i32));
  types.push_back(RankedTensorType::get({slots}, i32));
  types.push_back(ids);
  return success();
}

LogicalResult PermuteOp::reifyResultShapes(OpBuilder &builder,
                                           ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, getLoc(), getIds());
  AffineExpr product = builder.getAffineSymbolExpr(0) * builder.getAffineSymbolExpr(1);
  shapes.push_back({builder.getIndexAttr(getExperts() + 1)});
  shapes.push_back({affine::makeComposedFoldedAffineApply(builder, getLoc(), product, sizes)});
  shapes.push_back(sizes);
  return success();
}

LogicalResult PermuteOp::verify() {
  // C1
  if (getExperts() < 1)
    return emitOpError("requires a positive number of experts, but it is ") << getExperts();
  return success();
}

//===----------------------------------------------------------------------===//
// grouped_matmul
//===----------------------------------------------------------------------===//

Matrix GroupedMatmulOp::getMatrix() {
  return {getW(), getBias(), getScales(), getZeroPoints(), ""};
}

Matrix GroupedMatmulOp::getUp() {
  return {getWUp(), getBiasUp(), getScalesUp(), getZeroPointsUp(), "_up"};
}

LogicalResult GroupedMatmulOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                                Adaptor adaptor, SmallVectorImpl<Type> &types) {
  int64_t rows = sizeOf(adaptor.getSlots() ? adaptor.getSlots() : adaptor.getX(), 0);
  int64_t columns = sizeOf(adaptor.getW(), 1);
  std::optional<ActivationAttr> activation = adaptor.getActivation();
  if (activation && activation->isFused() && isKnown(columns))
    columns /= 2;
  types.push_back(RankedTensorType::get({rows, columns}, adaptor.getElement()));
  return success();
}

LogicalResult GroupedMatmulOp::reifyResultShapes(OpBuilder &builder,
                                                 ReifiedRankedShapedTypeDims &shapes) {
  OpFoldResult rows = tensor::getMixedSize(builder, getLoc(), getSlots() ? getSlots() : getX(), 0);
  OpFoldResult columns = tensor::getMixedSize(builder, getLoc(), getW(), 1);
  if (getActivation() && getActivation()->isFused())
    columns = affine::makeComposedFoldedAffineApply(
        builder, getLoc(), builder.getAffineSymbolExpr(0).floorDiv(2), columns);
  shapes.push_back({rows, columns});
  return success();
}

LogicalResult GroupedMatmulOp::verify() {
  // C2
  if (getSlotsPerRow() < 1)
    return emitOpError("requires a positive slots_per_row, but it is ") << getSlotsPerRow();
  if (getInputScales() && !getSlots())
    return emitOpError("requires slots for input_scales");
  // C1, C3
  if (failed(verifyMatrix(*this, getMatrix(), getQuantAttr(), sizeOf(getW(), 0), sizeOf(getW(), 1),
                          sizeOf(getX(), 1))))
    return failure();
  // C4
  if (!getOffsets() && !getExperts() && isKnown(sizeOf(getW(), 0)) && sizeOf(getW(), 0) != 1)
    return emitOpError("requires offsets or experts to choose among ")
           << sizeOf(getW(), 0) << " matrices";
  // C5
  bool isSeparate = getActivation() && getActivation()->getGate() == Gate::separate;
  if (isSeparate != static_cast<bool>(getWUp()) ||
      (!getWUp() && (getBiasUp() || getScalesUp() || getZeroPointsUp())))
    return emitOpError("requires w_up for a separate gate, and only for it");
  if (isSeparate)
    return verifyMatrix(*this, getUp(), getQuantAttr(), sizeOf(getW(), 0), sizeOf(getW(), 1),
                        sizeOf(getX(), 1));
  return success();
}

//===----------------------------------------------------------------------===//
// combine
//===----------------------------------------------------------------------===//

LogicalResult CombineOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  types.push_back(RankedTensorType::get(
      {sizeOf(adaptor.getPositions(), 0), sizeOf(adaptor.getRows(), 1)}, adaptor.getElement()));
  return success();
}

LogicalResult CombineOp::reifyResultShapes(OpBuilder &builder,
                                           ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back({tensor::getMixedSize(builder, getLoc(), getPositions(), 0),
                    tensor::getMixedSize(builder, getLoc(), getRows(), 1)});
  return success();
}

LogicalResult CombineOp::verify() {
  // C1
  for (int64_t dim : {0, 1})
    if (getWeights() && failed(verifySameSize(*this, {"weights", getWeights(), dim},
                                              {"positions", getPositions(), dim})))
      return failure();
  if (!getAddend())
    return success();
  if (tensorType(getAddend()).getElementType() != getElement())
    return emitOpError("requires an addend of ") << getElement();
  if (failed(verifySameSize(*this, {"addend", getAddend(), 0}, {"positions", getPositions(), 0})))
    return failure();
  return verifySameSize(*this, {"addend", getAddend(), 1}, {"rows", getRows(), 1});
}

//===----------------------------------------------------------------------===//
// dequantize
//===----------------------------------------------------------------------===//

LogicalResult DequantizeOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                             Adaptor adaptor, SmallVectorImpl<Type> &types) {
  types.push_back(tensorType(adaptor.getX()).clone(adaptor.getElement()));
  return success();
}

LogicalResult DequantizeOp::reifyResultShapes(OpBuilder &builder,
                                              ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getX()));
  return success();
}

LogicalResult DequantizeOp::verify() {
  RankedTensorType x = tensorType(getX()), scales = tensorType(getScales());
  // C1
  if (scales.getRank() != x.getRank())
    return emitOpError("requires scales of rank ")
           << x.getRank() << ", but they have " << scales.getRank();
  if (getZeroPoints() && tensorType(getZeroPoints()) != scales.clone(x.getElementType()))
    return emitOpError("requires zero points of type ")
           << scales.clone(x.getElementType()) << ", but they are " << getZeroPoints().getType();
  // C3
  int64_t axis = getAxis(), block = getBlock();
  if (axis < 0 || axis >= std::max<int64_t>(x.getRank(), 1) || block < 0)
    return emitOpError("requires a dimension and a block that is not negative, but they are ")
           << axis << " and " << block;
  // C2
  for (int64_t dim = 0; dim < x.getRank(); ++dim) {
    int64_t size = sizeOf(getX(), dim);
    if (sizeOf(getScales(), dim) != 1 &&
        failed(verifySize(*this, "scales", getScales(), dim,
                          block && dim == axis ? ceilDiv(size, block) : size)))
      return failure();
  }
  return success();
}

} // namespace moec::moe
