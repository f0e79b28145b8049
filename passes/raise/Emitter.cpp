#include "passes/raise/Emitter.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {

Type signlessType(Type onnxType) {
  if (auto integer = dyn_cast<IntegerType>(onnxType))
    return IntegerType::get(onnxType.getContext(), integer.getWidth());
  return onnxType;
}

Value Emitter::constant(Type type, double value) {
  TypedAttr attr;
  if (auto floatType = dyn_cast<FloatType>(type))
    attr = getFloatAttr(floatType, value);
  else
    attr = getIntegerAttr(type, static_cast<int64_t>(value));
  return arith::ConstantOp::create(*this, attr);
}

Value Emitter::value(Tensor &tensor) {
  if (tensor.data)
    return tensor.data;
  Type type = signlessType(tensor.elementType);
  SmallVector<Value> scalars;
  for (OpFoldResult element : *tensor.elements) {
    if (std::optional<int64_t> known = getConstantIntValue(element)) {
      scalars.push_back(arith::ConstantOp::create(*this, getIntegerAttr(type, *known)));
      continue;
    }
    Value scalar = cast<Value>(element);
    scalars.push_back(scalar.getType().isIndex() ? createOrFold<arith::IndexCastOp>(type, scalar)
                                                 : scalar);
  }
  SmallVector<int64_t> sizes;
  if (tensor.rank() == 1)
    sizes.push_back(scalars.size());
  tensor.data = tensor::FromElementsOp::create(*this, RankedTensorType::get(sizes, type), scalars);
  return tensor.data;
}

Tensor Emitter::tensor(Value value, Type elementType, Scalars shape) {
  SmallVector<int64_t> sizes;
  for (OpFoldResult size : shape)
    sizes.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  auto type = RankedTensorType::get(sizes, signlessType(elementType));
  if (value.getType() != type)
    value = tensor::CastOp::create(*this, type, value);
  return Tensor{value, elementType, std::move(shape), std::nullopt};
}

Tensor Emitter::fromElements(Scalars elements, Type elementType, bool isScalar) {
  Scalars shape;
  if (!isScalar)
    shape.push_back(size(elements.size()));
  return Tensor{Value(), elementType, std::move(shape), std::move(elements)};
}

FailureOr<Scalars> Emitter::elementsOf(Tensor &tensor) {
  if (tensor.elements)
    return *tensor.elements;
  if (tensor.rank() > 1 || !isa<IntegerType>(tensor.elementType))
    return failure();
  std::optional<int64_t> count =
      tensor.rank() == 0 ? std::optional<int64_t>(1) : getConstantIntValue(tensor.shape[0]);
  if (!count)
    return failure();
  Scalars elements;
  for (int64_t i = 0; i < *count; ++i) {
    SmallVector<Value> indices;
    if (tensor.rank() == 1)
      indices.push_back(index(i));
    Value element = createOrFold<tensor::ExtractOp>(value(tensor), indices);
    if (!tensor.isBool())
      element = createOrFold<arith::IndexCastOp>(getIndexType(), element);
    elements.push_back(getAsOpFoldResult(element));
  }
  tensor.elements = elements;
  return elements;
}

Value Emitter::empty(ArrayRef<OpFoldResult> shape, Type elementType) {
  return tensor::EmptyOp::create(*this, shape, elementType);
}

Value Emitter::filled(ArrayRef<OpFoldResult> shape, Value scalar) {
  return linalg::FillOp::create(*this, scalar, empty(shape, scalar.getType())).getResult(0);
}

void Emitter::check(Value condition, const Twine &message) {
  if (matchPattern(condition, m_One()))
    return;
  cf::AssertOp::create(*this, condition, message.str());
}

Value Emitter::read(Value tensor, ValueRange indices) {
  return tensor::ExtractOp::create(*this, tensor, indices);
}

Value Emitter::readIf(Value inside, Value tensor, ValueRange indices, Value fallback) {
  auto choice = scf::IfOp::create(
      *this, inside,
      [&](OpBuilder &b, Location loc) {
        scf::YieldOp::create(b, loc,
                             tensor::ExtractOp::create(b, loc, tensor, indices).getResult());
      },
      [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, fallback); });
  return choice.getResult(0);
}

Tensor Emitter::generate(Scalars shape, Type elementType, IndexedBody body) {
  Value init = empty(shape, signlessType(elementType));
  int64_t rank = shape.size();
  SmallVector<AffineMap> maps{getMultiDimIdentityMap(rank)};
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  auto generic =
      linalg::GenericOp::create(*this, TypeRange{init.getType()}, ValueRange{}, ValueRange{init},
                                maps, loops, [&](OpBuilder &nested, Location loc, ValueRange) {
                                  Emitter inner(loc, nested);
                                  SmallVector<Value> indices;
                                  for (int64_t dim = 0; dim < rank; ++dim)
                                    indices.push_back(linalg::IndexOp::create(inner, dim));
                                  linalg::YieldOp::create(inner, body(inner, indices));
                                });
  return Tensor{generic.getResult(0), elementType, std::move(shape), std::nullopt};
}

Tensor Emitter::reduce(Tensor input, ArrayRef<int64_t> dims, bool keepDims, Value init,
                       ScalarBody body) {
  Value source = value(input);
  int64_t rank = input.rank();
  Scalars kept, full;
  SmallVector<AffineExpr> exprs;
  SmallVector<utils::IteratorType> loops;
  for (int64_t dim = 0; dim < rank; ++dim) {
    bool isReduced = llvm::is_contained(dims, dim);
    loops.push_back(isReduced ? utils::IteratorType::reduction : utils::IteratorType::parallel);
    full.push_back(isReduced ? size(1) : input.shape[dim]);
    if (isReduced)
      continue;
    kept.push_back(input.shape[dim]);
    exprs.push_back(getAffineDimExpr(dim));
  }
  SmallVector<AffineMap> maps{getMultiDimIdentityMap(rank),
                              AffineMap::get(rank, 0, exprs, getContext())};
  Value accumulator = filled(kept, init);
  auto generic = linalg::GenericOp::create(
      *this, TypeRange{accumulator.getType()}, ValueRange{source}, ValueRange{accumulator}, maps,
      loops, [&](OpBuilder &nested, Location loc, ValueRange scalars) {
        Emitter inner(loc, nested);
        linalg::YieldOp::create(inner, body(inner, {scalars[1], scalars[0]}));
      });
  Type elementType = init.getType();
  if (signlessType(input.elementType) == elementType)
    elementType = input.elementType;
  Tensor result = tensor(generic.getResult(0), elementType, kept);
  return keepDims ? reshape(result, full) : result;
}

Value Emitter::convert(Value scalar, Type from, Type to) {
  Type target = signlessType(to);
  if (to.isInteger(1)) {
    if (from.isInteger(1))
      return scalar;
    Value zero = constant(scalar.getType(), 0);
    if (isa<FloatType>(from))
      return arith::CmpFOp::create(*this, arith::CmpFPredicate::UNE, scalar, zero);
    return arith::CmpIOp::create(*this, arith::CmpIPredicate::ne, scalar, zero);
  }
  bool fromUnsigned = from.isUnsignedInteger() || from.isInteger(1);
  // Floats of 8 bits and fewer are converted to and from f32 only.
  auto isTiny = [](Type type) { return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 8; };
  Type f32 = getF32Type();
  if (from != to && ((isTiny(from) && to != f32) || (isTiny(to) && from != f32)))
    return convert(convert(scalar, from, f32), f32, to);
  if (isa<FloatType>(from) && isa<FloatType>(to)) {
    unsigned a = from.getIntOrFloatBitWidth(), b = to.getIntOrFloatBitWidth();
    if (from == to)
      return scalar;
    if (a < b)
      return arith::ExtFOp::create(*this, target, scalar);
    if (a > b)
      return arith::TruncFOp::create(*this, target, scalar);
    // f16 and bf16: through f32, which holds both.
    return arith::TruncFOp::create(*this, target,
                                   arith::ExtFOp::create(*this, getF32Type(), scalar));
  }
  if (isa<FloatType>(from))
    return to.isUnsignedInteger() ? arith::FPToUIOp::create(*this, target, scalar).getResult()
                                  : arith::FPToSIOp::create(*this, target, scalar).getResult();
  if (isa<FloatType>(to))
    return fromUnsigned ? arith::UIToFPOp::create(*this, target, scalar).getResult()
                        : arith::SIToFPOp::create(*this, target, scalar).getResult();
  unsigned a = from.getIntOrFloatBitWidth(), b = to.getIntOrFloatBitWidth();
  if (a > b)
    return arith::TruncIOp::create(*this, target, scalar);
  if (a == b)
    return scalar;
  return fromUnsigned ? arith::ExtUIOp::create(*this, target, scalar).getResult()
                      : arith::ExtSIOp::create(*this, target, scalar).getResult();
}

Tensor Emitter::cast(Tensor input, Type elementType) {
  if (input.elementType == elementType)
    return input;
  // Shape arithmetic does not leave the range of the integers it passes.
  if (input.elements && isa<IntegerType>(elementType) && !input.isBool() &&
      !elementType.isInteger(1) && elementType.getIntOrFloatBitWidth() >= 32) {
    Tensor result = input;
    result.elementType = elementType;
    result.data = nullptr;
    return result;
  }
  Type from = input.elementType;
  return elementwise({input}, elementType, [&](Emitter &e, ValueRange scalars) {
    return e.convert(scalars[0], from, elementType);
  });
}

} // namespace moec::raise
