#include "dialects/TensorBuilder.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec {

Type accumulatorOf(Type element) {
  return element.isF64() ? element : Float32Type::get(element.getContext());
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

Value TensorBuilder::generic(Sizes loops, ArrayRef<Operand> operands, const Operand &init,
                             bool readsInit, Body body) {
  MLIRContext *context = getContext();
  SmallVector<AffineMap> maps;
  SmallVector<Value> inputs;
  llvm::SmallBitVector covered(loops.size());
  auto addMap = [&](ArrayRef<unsigned> dims) {
    maps.push_back(AffineMap::getMultiDimMapWithTargets(loops.size(), dims, context));
    for (unsigned dim : dims)
      covered.set(dim);
  };
  for (const Operand &operand : operands) {
    inputs.push_back(operand.tensor);
    addMap(operand.dims);
  }
  SmallVector<utils::IteratorType> iterators(loops.size(), utils::IteratorType::reduction);
  for (unsigned dim : init.dims) {
    iterators[dim] = utils::IteratorType::parallel;
    covered.set(dim);
  }
  // linalg reads the range of a loop off an operand.
  covered.flip();
  for (unsigned dim : SmallVector<unsigned>(covered.set_bits())) {
    inputs.push_back(tensor::EmptyOp::create(*this, loops[dim], getI8Type()));
    addMap(dim);
  }
  addMap(init.dims);
  auto op = linalg::GenericOp::create(
      *this, init.tensor.getType(), inputs, init.tensor, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange arguments) {
        TensorBuilder inner(nested, loc);
        SmallVector<Value> elements(arguments.take_front(operands.size()));
        if (readsInit)
          elements.push_back(arguments.back());
        linalg::YieldOp::create(inner, body(inner, elements));
      });
  return op.getResult(0);
}

Value TensorBuilder::compute(Sizes sizes, ArrayRef<Operand> operands, Type element, Body body) {
  return computeInto(tensor::EmptyOp::create(*this, sizes, element), operands, body);
}

Value TensorBuilder::computeInto(Value dest, ArrayRef<Operand> operands, Body body) {
  SmallVector<OpFoldResult> loops = sizes(dest);
  return generic(loops, operands, {dest, llvm::to_vector(llvm::seq<unsigned>(0, loops.size()))},
                 /*readsInit=*/false, body);
}

Value TensorBuilder::update(Value dest, ArrayRef<Operand> operands, Body body) {
  SmallVector<OpFoldResult> loops = sizes(dest);
  return generic(loops, operands, {dest, llvm::to_vector(llvm::seq<unsigned>(0, loops.size()))},
                 /*readsInit=*/true, body);
}

Value TensorBuilder::reduce(Sizes loops, ArrayRef<Operand> operands, const Operand &init,
                            Body body) {
  return generic(loops, operands, init, /*readsInit=*/true, body);
}

Value TensorBuilder::filled(Sizes sizes, Type element, double value) {
  Value init = tensor::EmptyOp::create(*this, sizes, element);
  return linalg::FillOp::create(*this, constant(element, value), init).getResult(0);
}

Value TensorBuilder::castTo(Value tensor, Type type) {
  if (tensor.getType() == type)
    return tensor;
  return tensor::CastOp::create(*this, type, tensor);
}

SmallVector<OpFoldResult> TensorBuilder::sizes(Value tensor) {
  return tensor::getMixedSizes(*this, getLoc(), tensor);
}

OpFoldResult TensorBuilder::size(Value tensor, int64_t dim) {
  return tensor::getMixedSize(*this, getLoc(), tensor, dim);
}

Value TensorBuilder::index(OpFoldResult size) {
  return getValueOrCreateConstantIndexOp(*this, getLoc(), size);
}

Value TensorBuilder::index(int64_t value) { return arith::ConstantIndexOp::create(*this, value); }

Value TensorBuilder::loop(unsigned dim) { return linalg::IndexOp::create(*this, dim); }

Value TensorBuilder::extract(Value tensor, ValueRange indices) {
  return tensor::ExtractOp::create(*this, tensor, indices);
}

Value TensorBuilder::extractOr(Value inside, Value tensor, ValueRange indices, Value fallback) {
  auto read = [&](OpBuilder &nested, Location loc) {
    TensorBuilder b(nested, loc);
    scf::YieldOp::create(b, b.extract(tensor, indices));
  };
  auto skip = [&](OpBuilder &nested, Location loc) { scf::YieldOp::create(nested, loc, fallback); };
  return scf::IfOp::create(*this, inside, read, skip).getResult(0);
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value TensorBuilder::constant(Type type, double value) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attr;
  if (isa<FloatType>(element))
    attr = getFloatAttr(element, value);
  else
    attr = getIntegerAttr(element, static_cast<int64_t>(value));
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, attr);
  return arith::ConstantOp::create(*this, attr);
}

template <typename FloatOp, typename IntOp>
static Value binary(TensorBuilder &b, Value lhs, Value rhs) {
  if (isa<FloatType>(getElementTypeOrSelf(lhs)))
    return FloatOp::create(b, lhs, rhs);
  return IntOp::create(b, lhs, rhs);
}

Value TensorBuilder::add(Value lhs, Value rhs) {
  return binary<arith::AddFOp, arith::AddIOp>(*this, lhs, rhs);
}
Value TensorBuilder::sub(Value lhs, Value rhs) {
  return binary<arith::SubFOp, arith::SubIOp>(*this, lhs, rhs);
}
Value TensorBuilder::mul(Value lhs, Value rhs) {
  return binary<arith::MulFOp, arith::MulIOp>(*this, lhs, rhs);
}
Value TensorBuilder::div(Value lhs, Value rhs) {
  return binary<arith::DivFOp, arith::DivSIOp>(*this, lhs, rhs);
}
Value TensorBuilder::max(Value lhs, Value rhs) {
  return binary<arith::MaximumFOp, arith::MaxSIOp>(*this, lhs, rhs);
}
Value TensorBuilder::min(Value lhs, Value rhs) {
  return binary<arith::MinimumFOp, arith::MinSIOp>(*this, lhs, rhs);
}
Value TensorBuilder::exp(Value value) { return math::ExpOp::create(*this, value); }

Value TensorBuilder::select(Value condition, Value yes, Value no) {
  return arith::SelectOp::create(*this, condition, yes, no);
}
Value TensorBuilder::both(Value lhs, Value rhs) { return arith::AndIOp::create(*this, lhs, rhs); }
Value TensorBuilder::either(Value lhs, Value rhs) { return arith::OrIOp::create(*this, lhs, rhs); }

Value TensorBuilder::equal(Value lhs, Value rhs) {
  if (isa<FloatType>(getElementTypeOrSelf(lhs)))
    return arith::CmpFOp::create(*this, arith::CmpFPredicate::OEQ, lhs, rhs);
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::eq, lhs, rhs);
}
Value TensorBuilder::less(Value lhs, Value rhs) {
  if (isa<FloatType>(getElementTypeOrSelf(lhs)))
    return arith::CmpFOp::create(*this, arith::CmpFPredicate::OLT, lhs, rhs);
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::slt, lhs, rhs);
}

/// `type`, or vectors of it like `like`.
static Type withShapeOf(Type like, Type type) {
  auto vector = dyn_cast<VectorType>(like);
  return vector ? Type(vector.clone(getElementTypeOrSelf(type))) : type;
}

Value TensorBuilder::convert(Value value, Type type) {
  Type from = getElementTypeOrSelf(value), to = getElementTypeOrSelf(type);
  if (from == to)
    return value;
  type = withShapeOf(value.getType(), type);
  if (isa<FloatType>(from) && isa<FloatType>(to)) {
    unsigned narrow = from.getIntOrFloatBitWidth(), wide = to.getIntOrFloatBitWidth();
    if (narrow == wide) // f16 and bf16 share only f32
      return convert(convert(value, getF32Type()), type);
    if (narrow < wide)
      return arith::ExtFOp::create(*this, type, value);
    return arith::TruncFOp::create(*this, type, value);
  }
  if (isa<FloatType>(to)) {
    if (from.isIndex())
      value = arith::IndexCastOp::create(*this, withShapeOf(type, getI64Type()), value);
    return arith::SIToFPOp::create(*this, type, value);
  }
  if (from.isIndex() || to.isIndex())
    return arith::IndexCastOp::create(*this, type, value);
  if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
    return arith::ExtSIOp::create(*this, type, value);
  return arith::TruncIOp::create(*this, type, value);
}

} // namespace moec
