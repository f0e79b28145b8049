//===- Shape.cpp - operators that give elements another shape --------------===//
#include "passes/raise/ops/Axes.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

LogicalResult lowerShape(Node &node) {
  Tensor &x = node.in(0);
  int64_t rank = x.rank();
  auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  int64_t start = clamp(node.intAttr("start", 0)), end = clamp(node.intAttr("end", rank));
  Scalars sizes(x.shape.begin() + start, x.shape.begin() + std::max(start, end));
  return node.set(0, node.emitter.fromElements(sizes, node.emitter.getIntegerType(64, true)));
}

LogicalResult lowerSize(Node &node) {
  Emitter &e = node.emitter;
  return node.set(0,
                  e.fromElements({e.product(node.in(0).shape)}, e.getIntegerType(64, true), true));
}

LogicalResult lowerReshape(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  // A list whose length its type does not state has one size for each dimension.
  FailureOr<Scalars> wanted = node.list(1, node.declaredRank(0));
  if (failed(wanted))
    return failure();
  bool allowZero = node.intAttr("allowzero", 0);
  Scalars shape;
  std::optional<size_t> inferred;
  for (auto [dim, size] : llvm::enumerate(*wanted)) {
    std::optional<int64_t> known = getConstantIntValue(size);
    if (known == -1)
      inferred = dim;
    if (known == 0 && !allowZero && int64_t(dim) < x.rank())
      size = x.shape[dim];
    if (!known) {
      // A size that is known at run time may still mean "the same" or "the rest".
      Value value = cast<Value>(size);
      auto is = [&](int64_t meant) {
        return e.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, value, e.index(meant));
      };
      if (!isa_and_nonnull<tensor::DimOp, arith::MulIOp>(value.getDefiningOp())) {
        if (!allowZero && int64_t(dim) < x.rank())
          size = getAsOpFoldResult(
              e.createOrFold<arith::SelectOp>(is(0), e.index(x.shape[dim]), value));
        size = getAsOpFoldResult(e.createOrFold<arith::SelectOp>(is(-1), value, e.index(size)));
      }
    }
    shape.push_back(size);
  }
  auto rest = [&](size_t without) {
    OpFoldResult total = e.product(x.shape);
    Scalars others(shape);
    others.erase(others.begin() + without);
    return e.divide(total, e.product(others));
  };
  if (inferred) {
    shape[*inferred] = rest(*inferred);
  } else {
    // Sizes read from data: -1 stands for what the others leave.
    Scalars replaced(shape);
    for (size_t dim = 0; dim < shape.size(); ++dim) {
      auto value = dyn_cast<Value>(shape[dim]);
      if (!value || isa_and_nonnull<tensor::DimOp, arith::MulIOp>(value.getDefiningOp()))
        continue;
      Value isRest = e.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, value, e.index(0));
      replaced[dim] =
          getAsOpFoldResult(e.createOrFold<arith::SelectOp>(isRest, e.index(rest(dim)), value));
    }
    shape = replaced;
  }
  return node.set(0, e.reshape(x, shape));
}

LogicalResult lowerFlatten(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  int64_t axis = node.intAttr("axis", 1);
  axis = axis < 0 ? axis + x.rank() : axis;
  ArrayRef<OpFoldResult> shape(x.shape);
  return node.set(
      0, e.reshape(x, {e.product(shape.take_front(axis)), e.product(shape.drop_front(axis))}));
}

/// Squeeze when it is the data that tells which dimensions go.
LogicalResult squeezeAtRunTime(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  std::optional<int64_t> rank = node.declaredRank(0);
  if (!rank && node.has(1))
    rank = rankWithout(node.in(1), x.rank());
  if (!rank)
    return node.refuse("neither the axes nor the rank of the result are known");
  SmallVector<Value> isKept;
  if (node.has(1))
    for (Value named : namedDims(e, node.in(1), x.rank()))
      isKept.push_back(e.negation(named));
  else
    for (OpFoldResult size : x.shape)
      isKept.push_back(e.negation(e.same(e.index(size), e.index(1))));
  return node.set(0, e.reshape(x, keptSizes(e, x.shape, isKept, *rank)));
}

LogicalResult lowerSqueeze(Node &node) {
  Tensor x = node.in(0);
  std::optional<SmallVector<int64_t>> given = node.knownAxes(1);
  if (given) {
    FailureOr<SmallVector<int64_t>> dims = node.axes(*given, x.rank());
    return failed(dims) ? failure() : node.set(0, node.emitter.squeeze(x, *dims));
  }
  if (node.has(1) || !llvm::all_of(x.shape, getConstantIntValue))
    return squeezeAtRunTime(node);
  SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < x.rank(); ++dim)
    if (isConstantIntValue(x.shape[dim], 1))
      dims.push_back(dim);
  return node.set(0, node.emitter.squeeze(x, dims));
}

/// Unsqueeze when it is the data that tells which dimensions are new.
LogicalResult unsqueezeAtRunTime(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), axes = node.in(1);
  std::optional<int64_t> rank = node.declaredRank(0);
  if (axes.rank() == 0)
    rank = x.rank() + 1;
  else if (std::optional<int64_t> count = getConstantIntValue(axes.shape[0]))
    rank = x.rank() + *count;
  if (!rank)
    return node.refuse("neither the axes nor the rank of the result are known");
  if (axes.rank() == 0)
    axes = e.reshape(axes, {e.size(1)});
  Scalars shape;
  Value from = e.index(0);
  for (Value isNew : namedDims(e, axes, *rank)) {
    shape.push_back(getAsOpFoldResult(e.select(isNew, e.index(1), sizeAt(e, x.shape, from))));
    from = e.select(isNew, from, e.add(from, e.index(1)));
  }
  e.check(e.same(from, e.index(x.rank())), "the axes do not fit the rank of the result");
  return node.set(0, e.reshape(x, shape));
}

LogicalResult lowerUnsqueeze(Node &node) {
  Tensor x = node.in(0);
  std::optional<SmallVector<int64_t>> given = node.knownAxes(1);
  if (!given)
    return node.has(1) ? unsqueezeAtRunTime(node) : node.refuse("axes are missing");
  FailureOr<SmallVector<int64_t>> dims = node.axes(*given, x.rank() + given->size());
  return failed(dims) ? failure() : node.set(0, node.emitter.unsqueeze(x, *dims));
}

LogicalResult lowerTranspose(Node &node) {
  Tensor x = node.in(0);
  SmallVector<int64_t> permutation = node.intsAttr("perm").value_or(
      llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, x.rank()))));
  if (permutation.size() != x.shape.size() || !isPermutationVector(permutation))
    return node.refuse("perm is no permutation of the dimensions");
  return node.set(0, node.emitter.transpose(x, permutation));
}

LogicalResult lowerExpand(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), &list = node.in(1);
  std::optional<int64_t> rank = node.declaredRank(0);
  if (rank && list.rank() == 1 && !getConstantIntValue(list.shape[0]))
    return node.set(0, e.broadcastTo(x, trailingSizes(e, list, *rank)));
  FailureOr<Scalars> shape = node.list(1);
  return failed(shape) ? failure() : node.set(0, e.broadcastTo(x, *shape));
}

LogicalResult lowerDepthToSpace(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  int64_t block = node.intAttr("blocksize", 1);
  OpFoldResult b = e.size(block);
  OpFoldResult channels = e.divide(x.shape[1], e.size(block * block));
  bool crd = node.stringAttr("mode", "DCR") == "CRD";
  Scalars six = crd ? Scalars{x.shape[0], channels, b, b, x.shape[2], x.shape[3]}
                    : Scalars{x.shape[0], b, b, channels, x.shape[2], x.shape[3]};
  Tensor split = e.reshape(x, six);
  split = e.transpose(split, crd ? ArrayRef<int64_t>{0, 1, 4, 2, 5, 3}
                                 : ArrayRef<int64_t>{0, 3, 4, 1, 5, 2});
  return node.set(
      0, e.reshape(split, {x.shape[0], channels, e.mul(x.shape[2], b), e.mul(x.shape[3], b)}));
}

LogicalResult lowerSpaceToDepth(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  OpFoldResult b = e.size(node.intAttr("blocksize", 1));
  OpFoldResult rows = e.divide(x.shape[2], b), columns = e.divide(x.shape[3], b);
  Tensor split = e.reshape(x, {x.shape[0], x.shape[1], rows, b, columns, b});
  split = e.transpose(split, {0, 3, 5, 1, 2, 4});
  return node.set(0, e.reshape(split, {x.shape[0], e.mul(x.shape[1], e.mul(b, b)), rows, columns}));
}

const OperatorInfo kTable[] = {
    {"", "DepthToSpace", 1, 1, lowerDepthToSpace, 11},
    {"", "Expand", 2, 2, lowerExpand, 8},
    {"", "Flatten", 1, 1, lowerFlatten, 1},
    {"", "Reshape", 2, 2, lowerReshape, 5},
    {"", "Shape", 1, 1, lowerShape, 1},
    {"", "Size", 1, 1, lowerSize, 1},
    {"", "SpaceToDepth", 1, 1, lowerSpaceToDepth, 1},
    {"", "Squeeze", 1, 2, lowerSqueeze, 1},
    {"", "Transpose", 1, 1, lowerTranspose, 1},
    {"", "Unsqueeze", 1, 2, lowerUnsqueeze, 1},
};

} // namespace

ArrayRef<OperatorInfo> shapeOperators() { return kTable; }

} // namespace moec::raise
