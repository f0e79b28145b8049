//===- DecomposeDequantize.cpp - integers that stand for floats -----------===//
#include "dialects/TensorBuilder.h"
#include "dialects/moe/MoeDialect.h"

using namespace mlir;

namespace moec::moe {
namespace {

RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

/// The scale or zero point at the place of the loops. Dimensions of one element
/// are left out, so that loops know that they do not matter.
TensorBuilder::Operand spread(TensorBuilder &b, DequantizeOp op, Value parameter) {
  RankedTensorType type = typeOf(parameter);
  SmallVector<OpFoldResult> sizes = b.sizes(parameter), zeros(sizes.size(), b.getIndexAttr(0)),
                            ones(sizes.size(), b.getIndexAttr(1));
  TensorBuilder::Operand operand;
  SmallVector<int64_t> kept;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (type.getDimSize(dim) != 1) {
      operand.dims.push_back(dim);
      kept.push_back(type.getDimSize(dim));
    }
  operand.tensor =
      tensor::ExtractSliceOp::create(b, type.clone(kept), parameter, zeros, sizes, ones);
  int64_t axis = op.getAxis(), block = op.getBlock();
  if (block == 0 || type.getRank() == 0 || type.getDimSize(axis) == 1)
    return operand;
  // One element for each of x, along the axis.
  SmallVector<OpFoldResult> all = b.sizes(op.getX()), wide;
  for (unsigned dim : operand.dims)
    wide.push_back(all[dim]);
  Value blocks = operand.tensor;
  auto place = llvm::find(operand.dims, static_cast<unsigned>(axis)) - operand.dims.begin();
  operand.tensor = b.compute(wide, {}, type.getElementType(), [&](TensorBuilder &b, ValueRange) {
    SmallVector<Value> at;
    for (unsigned dim = 0; dim < wide.size(); ++dim)
      at.push_back(b.loop(dim));
    at[place] = arith::DivUIOp::create(b, at[place], b.index(block));
    return b.extract(blocks, at);
  });
  return operand;
}

} // namespace

FailureOr<SmallVector<Value>> DequantizeOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  Type i32 = b.getI32Type(), scale = typeOf(getScales()).getElementType();
  SmallVector<unsigned> all =
      llvm::to_vector(llvm::seq<unsigned>(0, static_cast<unsigned>(typeOf(getX()).getRank())));
  SmallVector<TensorBuilder::Operand> operands{{getX(), all}, spread(b, *this, getScales())};
  if (getZeroPoints())
    operands.push_back(spread(b, *this, getZeroPoints()));
  auto widen = [&](TensorBuilder &b, Value integer) -> Value {
    if (getIsUnsigned() && integer.getType().getIntOrFloatBitWidth() < 32)
      return arith::ExtUIOp::create(b, i32, integer);
    return b.convert(integer, i32);
  };
  Value y = b.compute(b.sizes(getX()), operands, getElement(), [&](TensorBuilder &b, ValueRange v) {
    Value difference = widen(b, v[0]);
    if (getZeroPoints())
      difference = b.sub(difference, widen(b, v[2]));
    return b.convert(b.mul(b.convert(difference, scale), v[1]), getElement());
  });
  return SmallVector<Value>{b.castTo(y, getType())};
}

} // namespace moec::moe
