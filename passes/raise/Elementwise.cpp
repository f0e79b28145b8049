//===- Elementwise.cpp - one scalar from one scalar of each input ---------===//
#include "passes/raise/Emitter.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// At most so many elements are kept as scalars.
constexpr size_t kMaxElements = 64;

bool holdsScalars(Type elementType) {
  return elementType.isInteger(1) || elementType.isSignedInteger(64) ||
         elementType.isSignedInteger(32);
}

/// Folds the operations after `before`, or at the start of the block, and
/// returns what `value` became.
Value foldNew(OpBuilder &builder, Block *block, Operation *before, Value value) {
  auto *op = before ? before->getNextNode() : (block->empty() ? nullptr : &block->front());
  while (op && op != &*builder.getInsertionPoint()) {
    Operation *next = op->getNextNode();
    SmallVector<Value> folded;
    if (op->getNumResults() == 1 && succeeded(builder.tryFold(op, folded)) && folded.size() == 1) {
      if (value == op->getResult(0))
        value = folded[0];
      op->getResult(0).replaceAllUsesWith(folded[0]);
      op->erase();
    }
    op = next;
  }
  return value;
}

} // namespace

std::optional<Tensor> Emitter::elementwiseOnElements(ArrayRef<Tensor> inputs, Type elementType,
                                                     ScalarBody body) {
  size_t count = 1;
  int64_t rank = 0;
  for (const Tensor &input : inputs) {
    if (!input.elements || !holdsScalars(input.elementType))
      return std::nullopt;
    rank = std::max(rank, input.rank());
    size_t own = input.elements->size();
    if (own != 1 && count != 1 && own != count)
      return std::nullopt;
    count = own == 1 ? count : own;
  }
  if (inputs.empty() || !holdsScalars(elementType) || count > kMaxElements)
    return std::nullopt;
  Scalars elements;
  for (size_t i = 0; i < count; ++i) {
    SmallVector<Value> scalars;
    for (const Tensor &input : inputs) {
      OpFoldResult element = (*input.elements)[input.elements->size() == 1 ? 0 : i];
      if (auto known = dyn_cast<Attribute>(element))
        scalars.push_back(input.isBool() ? constant(getI1Type(), cast<IntegerAttr>(known).getInt())
                                         : index(*getConstantIntValue(element)));
      else
        scalars.push_back(cast<Value>(element));
    }
    Block *block = getInsertionBlock();
    auto point = getInsertionPoint();
    Operation *before = point == block->begin() ? nullptr : &*std::prev(point);
    Value result = body(*this, scalars);
    elements.push_back(getAsOpFoldResult(foldNew(*this, block, before, result)));
  }
  return fromElements(std::move(elements), elementType, rank == 0);
}

Tensor Emitter::elementwise(ArrayRef<Tensor> inputs, Type elementType, ScalarBody body) {
  if (std::optional<Tensor> scalars = elementwiseOnElements(inputs, elementType, body))
    return *scalars;
  Scalars shape = broadcastShapes(inputs);
  int64_t rank = shape.size();
  // Sizes of 1 that are broadcast disappear; sizes that may be 1 at run time
  // are read element by element.
  SmallVector<Value> operands, gathered;
  SmallVector<std::optional<size_t>> position;
  SmallVector<AffineMap> maps;
  SmallVector<SmallVector<bool>> mayBroadcast;
  for (Tensor input : inputs) {
    SmallVector<int64_t> unit;
    SmallVector<AffineExpr> exprs;
    SmallVector<bool> ambiguous;
    for (int64_t dim = 0; dim < input.rank(); ++dim) {
      int64_t loop = rank - input.rank() + dim;
      if (isConstantIntValue(input.shape[dim], 1) && !isConstantIntValue(shape[loop], 1)) {
        unit.push_back(dim);
        continue;
      }
      ambiguous.push_back(!equal(input.shape[dim], shape[loop]));
      exprs.push_back(getAffineDimExpr(loop));
    }
    if (!unit.empty())
      input = squeeze(input, unit);
    if (llvm::is_contained(ambiguous, true)) {
      position.push_back(std::nullopt);
      gathered.push_back(value(input));
    } else {
      position.push_back(operands.size());
      gathered.push_back(nullptr);
      operands.push_back(value(input));
    }
    maps.push_back(AffineMap::get(rank, 0, exprs, getContext()));
    mayBroadcast.push_back(ambiguous);
  }
  // Reads an input whose sizes may be 1 at the place that broadcasting means.
  auto readBroadcast = [&](Emitter &e, size_t i) {
    SmallVector<Value> indices;
    for (auto [dim, expr] : llvm::enumerate(maps[i].getResults())) {
      Value at = linalg::IndexOp::create(e, cast<AffineDimExpr>(expr).getPosition());
      if (mayBroadcast[i][dim]) {
        Value extent = e.createOrFold<tensor::DimOp>(gathered[i], e.index(dim));
        Value isOne = arith::CmpIOp::create(e, arith::CmpIPredicate::eq, extent, e.index(1));
        at = arith::SelectOp::create(e, isOne, e.index(0), at);
      }
      indices.push_back(at);
    }
    return e.read(gathered[i], indices);
  };
  SmallVector<AffineMap> operandMaps;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (position[i])
      operandMaps.push_back(maps[i]);
  operandMaps.push_back(getMultiDimIdentityMap(rank));
  Value init = empty(shape, signlessType(elementType));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      *this, TypeRange{init.getType()}, operands, ValueRange{init}, operandMaps, loops,
      [&](OpBuilder &nested, Location loc, ValueRange elements) {
        Emitter inner(loc, nested);
        SmallVector<Value> scalars;
        for (size_t i = 0; i < inputs.size(); ++i)
          scalars.push_back(position[i] ? elements[*position[i]] : readBroadcast(inner, i));
        linalg::YieldOp::create(inner, body(inner, scalars));
      });
  return Tensor{generic.getResult(0), elementType, std::move(shape), std::nullopt};
}

} // namespace moec::raise
