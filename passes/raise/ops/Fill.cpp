//===- Fill.cpp - tensors from shapes and scalars --------------------------===//
#include "passes/raise/Operators.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// A tensor of a shape that an input lists, filled with one scalar.
LogicalResult lowerConstantOfShape(Node &node) {
  Emitter &e = node.emitter;
  FailureOr<Scalars> shape = node.list(0, node.declaredRank(0));
  if (failed(shape))
    return failure();
  auto value = node.attr<DenseElementsAttr>("value");
  Type elementType = value ? value.getElementType() : e.getF32Type();
  if (value && isa<IntegerType>(elementType) && shape->size() == 1) {
    std::optional<int64_t> count = getConstantIntValue(shape->front());
    APInt element = *value.getValues<APInt>().begin();
    if (count && *count <= 64 && !elementType.isInteger(1))
      return node.set(0,
                      e.fromElements(Scalars(*count, e.size(element.getSExtValue())), elementType));
  }
  Type signless = signlessType(elementType);
  TypedAttr scalar = value
                         ? cast<TypedAttr>(*value.bitcast(signless).getValues<Attribute>().begin())
                         : e.getZeroAttr(signless);
  Value filled = e.filled(*shape, arith::ConstantOp::create(e, scalar));
  return node.set(0, e.tensor(filled, elementType, *shape));
}

/// The numbers of a short range that is known, as shape arithmetic wants them.
std::optional<Scalars> knownRange(Emitter &e, OpFoldResult start, OpFoldResult count,
                                  OpFoldResult step) {
  constexpr int64_t kMaxElements = 64;
  std::optional<int64_t> known = getConstantIntValue(count);
  if (!known || *known > kMaxElements)
    return std::nullopt;
  Scalars elements;
  for (int64_t i = 0; i < *known; ++i)
    elements.push_back(e.add(start, e.mul(step, e.size(i))));
  return elements;
}

LogicalResult lowerIntegerRange(Node &node) {
  Emitter &e = node.emitter;
  Type elementType = node.in(0).elementType;
  FailureOr<Scalars> a = node.list(0), b = node.list(1), c = node.list(2);
  if (failed(a) || failed(b) || failed(c))
    return failure();
  OpFoldResult start = a->front(), limit = b->front(), delta = c->front(), count;
  std::optional<int64_t> step = getConstantIntValue(delta);
  if (step == 0)
    return node.refuse("its delta is 0");
  if (step && *step > 0) {
    count = e.divide(e.add(e.sub(limit, start), e.size(*step - 1)), e.size(*step));
  } else {
    e.check(e.negation(e.same(e.index(delta), e.index(0))), "the delta of a range is 0");
    Value distance = e.index(e.sub(limit, start));
    count = getAsOpFoldResult(e.createOrFold<arith::CeilDivSIOp>(distance, e.index(delta)));
  }
  count = e.max(e.size(0), count);
  if (std::optional<Scalars> elements = knownRange(e, start, count, delta))
    return node.set(0, e.fromElements(*elements, elementType));
  Value first = e.index(start), by = e.index(delta);
  Type signless = signlessType(elementType);
  return node.set(0, e.generate({count}, elementType, [&](Emitter &b, ValueRange at) {
    return b.fromIndex(b.add(first, b.mul(at[0], by)), signless);
  }));
}

LogicalResult lowerRange(Node &node) {
  Emitter &e = node.emitter;
  Tensor start = node.in(0), limit = node.in(1), delta = node.in(2);
  constexpr int64_t kFloat32 = 1;
  int64_t stash = node.intAttr("stash_type", kFloat32);
  if (!start.isFloat())
    return lowerIntegerRange(node);
  // Since version 27, narrow floats are computed in f32.
  Type resultType = start.elementType;
  if (resultType.getIntOrFloatBitWidth() < 32 && node.version() >= 27) {
    if (stash != kFloat32)
      return node.refuse("stash_type ") << stash << " is not supported for " << resultType;
    for (Tensor *input : {&start, &limit, &delta})
      *input = e.cast(*input, e.getF32Type());
  }
  Type elementType = start.elementType;
  auto scalar = [&](Tensor &tensor) {
    return e.createOrFold<tensor::ExtractOp>(e.value(tensor), ValueRange{});
  };
  Value first = scalar(start), by = scalar(delta);
  Value distance = arith::SubFOp::create(e, scalar(limit), first);
  Value steps = math::CeilOp::create(e, arith::DivFOp::create(e, distance, by));
  Value count = arith::IndexCastOp::create(e, e.getIndexType(),
                                           arith::FPToSIOp::create(e, e.getI64Type(), steps));
  count = arith::MaxSIOp::create(e, count, e.index(0));
  Tensor result = e.generate({count}, elementType, [&](Emitter &b, ValueRange at) {
    Value i = arith::SIToFPOp::create(b, elementType,
                                      arith::IndexCastOp::create(b, b.getI64Type(), at[0]));
    return arith::AddFOp::create(b, first, arith::MulFOp::create(b, i, by)).getResult();
  });
  return node.set(0, e.cast(result, resultType));
}

LogicalResult lowerEyeLike(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  int64_t k = node.intAttr("k", 0);
  Type elementType = x.elementType;
  if (node.hasAttr("dtype"))
    elementType = onnx::elementTypeOf(e.getContext(), node.intAttr("dtype", 1));
  if (!elementType)
    return node.refuse("element type ") << node.intAttr("dtype", 0) << " is not supported";
  Type signless = signlessType(elementType);
  return node.set(0, e.generate(x.shape, elementType, [&](Emitter &b, ValueRange at) {
    Value diagonal = b.createOrFold<arith::AddIOp>(at[0], b.index(k));
    Value isOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, diagonal, at[1]);
    return arith::SelectOp::create(b, isOne, b.constant(signless, 1), b.constant(signless, 0))
        .getResult();
  }));
}

const OperatorInfo kTable[] = {
    {"", "ConstantOfShape", 1, 1, lowerConstantOfShape, 9},
    {"", "EyeLike", 1, 1, lowerEyeLike, 9},
    {"", "Range", 3, 3, lowerRange, 11},
};

} // namespace

ArrayRef<OperatorInfo> fillOperators() { return kTable; }

} // namespace moec::raise
