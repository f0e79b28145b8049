//===- Reduction.cpp - operators that fold dimensions ----------------------===//
#include "passes/raise/ops/Axes.h"
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// Narrow floats are summed in f32 and rounded once.
Tensor widen(Emitter &e, Tensor x) {
  if (x.isFloat() && x.elementType.getIntOrFloatBitWidth() < 32)
    return e.cast(x, e.getF32Type());
  return x;
}

Value infinity(Emitter &e, Type type, bool negative) {
  double value = std::numeric_limits<double>::infinity();
  return e.constant(type, negative ? -value : value);
}

/// The value that a maximum (or minimum) starts from.
Value extreme(Emitter &e, const Tensor &x, bool lowest) {
  Type type = signlessType(x.elementType);
  if (x.isFloat())
    return infinity(e, type, lowest);
  unsigned width = type.getIntOrFloatBitWidth();
  bool isUnsigned = x.isUnsigned() || x.isBool();
  APInt value = lowest ? (isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width))
                       : (isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width));
  return arith::ConstantOp::create(e, e.getIntegerAttr(type, value));
}

Tensor sum(Emitter &e, Tensor x, ArrayRef<int64_t> dims, bool keep) {
  Value zero = e.constant(signlessType(x.elementType), 0);
  return e.reduce(x, dims, keep, zero, [&](Emitter &in, ValueRange v) -> Value {
    if (x.isFloat())
      return arith::AddFOp::create(in, v[0], v[1]);
    return arith::AddIOp::create(in, v[0], v[1]);
  });
}

Tensor maximum(Emitter &e, Tensor x, ArrayRef<int64_t> dims, bool keep, bool largest = true) {
  return e.reduce(x, dims, keep, extreme(e, x, largest), [&](Emitter &in, ValueRange v) -> Value {
    bool isUnsigned = x.isUnsigned() || x.isBool();
    if (x.isFloat())
      return largest ? arith::MaximumFOp::create(in, v[0], v[1]).getResult()
                     : arith::MinimumFOp::create(in, v[0], v[1]).getResult();
    if (isUnsigned)
      return largest ? arith::MaxUIOp::create(in, v[0], v[1]).getResult()
                     : arith::MinUIOp::create(in, v[0], v[1]).getResult();
    return largest ? arith::MaxSIOp::create(in, v[0], v[1]).getResult()
                   : arith::MinSIOp::create(in, v[0], v[1]).getResult();
  });
}

template <typename Op> Tensor map(Emitter &e, Tensor x) {
  return e.elementwise({x}, x.elementType,
                       [](Emitter &in, ValueRange v) { return Op::create(in, v[0]).getResult(); });
}

template <typename Op> Tensor combine(Emitter &e, Tensor a, Tensor b) {
  return e.elementwise({a, b}, a.elementType, [](Emitter &in, ValueRange v) {
    return Op::create(in, v[0], v[1]).getResult();
  });
}

enum class Kind { sum, mean, max, min, prod, l1, l2, sumSquare, logSum, logSumExp };

Tensor square(Emitter &e, Tensor x) {
  return e.elementwise({x}, x.elementType, [&](Emitter &in, ValueRange v) -> Value {
    if (x.isFloat())
      return arith::MulFOp::create(in, v[0], v[0]);
    return arith::MulIOp::create(in, v[0], v[0]);
  });
}

Tensor absolute(Emitter &e, Tensor x) {
  if (x.isFloat())
    return map<math::AbsFOp>(e, x);
  return x.isUnsigned() ? x : map<math::AbsIOp>(e, x);
}

Tensor mean(Emitter &e, Tensor x, ArrayRef<int64_t> dims, bool keep) {
  Tensor total = sum(e, x, dims, keep);
  OpFoldResult count = e.size(1);
  for (int64_t dim : dims)
    count = e.mul(count, x.shape[dim]);
  Value divisor = arith::IndexCastOp::create(e, e.getI64Type(), e.index(count));
  Type type = signlessType(x.elementType);
  if (x.isFloat())
    divisor = arith::SIToFPOp::create(e, type, divisor);
  else if (type != e.getI64Type())
    divisor = arith::TruncIOp::create(e, type, divisor);
  return e.elementwise({total}, total.elementType, [&](Emitter &in, ValueRange v) -> Value {
    if (x.isFloat())
      return arith::DivFOp::create(in, v[0], divisor);
    return arith::DivSIOp::create(in, v[0], divisor);
  });
}

/// log(sum(exp(x - max))) + max
Tensor logSumExp(Emitter &e, Tensor x, ArrayRef<int64_t> dims) {
  Tensor top = maximum(e, x, dims, true);
  // An infinite maximum is its own result.
  Tensor shift = e.elementwise({top}, top.elementType, [](Emitter &in, ValueRange v) {
    Value magnitude = math::AbsFOp::create(in, v[0]);
    Value isFinite = arith::CmpFOp::create(in, arith::CmpFPredicate::OLT, magnitude,
                                           infinity(in, v[0].getType(), false));
    return arith::SelectOp::create(in, isFinite, v[0], in.constant(v[0].getType(), 0)).getResult();
  });
  Tensor exps = map<math::ExpOp>(e, combine<arith::SubFOp>(e, x, shift));
  return combine<arith::AddFOp>(e, map<math::LogOp>(e, sum(e, exps, dims, true)), shift);
}

Tensor reduceKind(Emitter &e, Kind kind, Tensor x, ArrayRef<int64_t> dims) {
  switch (kind) {
  case Kind::sum:
    return sum(e, x, dims, true);
  case Kind::mean:
    return mean(e, x, dims, true);
  case Kind::max:
    return maximum(e, x, dims, true);
  case Kind::min:
    return maximum(e, x, dims, true, false);
  case Kind::prod: {
    Value one = e.constant(signlessType(x.elementType), 1);
    return e.reduce(x, dims, true, one, [&](Emitter &in, ValueRange v) -> Value {
      if (x.isFloat())
        return arith::MulFOp::create(in, v[0], v[1]);
      return arith::MulIOp::create(in, v[0], v[1]);
    });
  }
  case Kind::l1:
    return sum(e, absolute(e, x), dims, true);
  case Kind::l2:
    return map<math::SqrtOp>(e, sum(e, square(e, x), dims, true));
  case Kind::sumSquare:
    return sum(e, square(e, x), dims, true);
  case Kind::logSum:
    return map<math::LogOp>(e, sum(e, x, dims, true));
  case Kind::logSumExp:
    return logSumExp(e, x, dims);
  }
  llvm_unreachable("all kinds are handled");
}

bool isIntegral(Kind kind) {
  return kind != Kind::l2 && kind != Kind::logSum && kind != Kind::logSumExp;
}

/// Reduces in the type that the operator sums in.
Tensor reduceTo(Emitter &e, Kind kind, Tensor x, ArrayRef<int64_t> dims) {
  Type elementType = x.elementType;
  if (!x.isFloat() && !isIntegral(kind))
    x = e.cast(x, e.getF64Type());
  return e.cast(reduceKind(e, kind, widen(e, x), dims), elementType);
}

/// A reduction when it is the data that tells over which dimensions: every
/// dimension becomes two, of which one has size 1, and the second ones are
/// reduced.
LogicalResult reduceAtRunTime(Node &node, Kind kind) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), axes = node.in(1);
  int64_t rank = x.rank();
  bool keep = node.intAttr("keepdims", 1), noneIsNone = node.intAttr("noop_with_empty_axes", 0);
  std::optional<int64_t> resultRank = keep ? rank : node.declaredRank(0);
  if (!resultRank)
    resultRank = rankWithout(axes, rank);
  if (!resultRank)
    return node.refuse("neither the axes nor the rank of the result are known");
  Value one = e.index(1), hasNone = e.same(e.index(axes.shape[0]), e.index(0));
  SmallVector<Value> isKept;
  Scalars outer, inner;
  for (auto [named, size] : llvm::zip_equal(namedDims(e, axes, rank), x.shape)) {
    Value isReduced = noneIsNone ? named : e.either(named, hasNone);
    isKept.push_back(e.negation(isReduced));
    outer.push_back(getAsOpFoldResult(e.select(isReduced, one, e.index(size))));
    inner.push_back(getAsOpFoldResult(e.select(isReduced, e.index(size), one)));
  }
  Scalars both(outer);
  llvm::append_range(both, inner);
  Value source = e.value(x);
  Tensor apart = e.generate(both, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from;
    for (int64_t dim = 0; dim < rank; ++dim)
      from.push_back(b.add(at[dim], at[rank + dim]));
    return b.read(source, from);
  });
  Tensor result = reduceTo(e, kind, apart, llvm::to_vector(llvm::seq(rank, 2 * rank)));
  if (!keep)
    outer = keptSizes(e, x.shape, isKept, *resultRank);
  return node.set(0, e.reshape(result, outer));
}

template <Kind kind> LogicalResult lowerReduce(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  std::optional<SmallVector<int64_t>> given = node.knownAxes(1);
  if (!given && node.has(1))
    return reduceAtRunTime(node, kind);
  SmallVector<int64_t> dims = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  if (node.intAttr("noop_with_empty_axes", 0) || (given && !given->empty())) {
    FailureOr<SmallVector<int64_t>> counted =
        node.axes(given.value_or(SmallVector<int64_t>{}), x.rank());
    if (failed(counted))
      return failure();
    dims = *counted;
  }
  // Sizes and lists are multiplied as scalars.
  if (kind == Kind::prod && x.elements && x.rank() == 1 && dims.size() == 1) {
    OpFoldResult all = e.product(*x.elements);
    return node.set(0, e.fromElements({all}, x.elementType, !node.intAttr("keepdims", 1)));
  }
  Tensor result = reduceTo(e, kind, x, dims);
  if (!node.intAttr("keepdims", 1))
    result = e.squeeze(result, dims);
  return node.set(0, result);
}

//===--- Softmax and relatives --------------------------------------------===//

/// Before version 13 the input is a matrix whose columns start at the axis.
struct SoftmaxInput {
  Tensor x;
  int64_t axis;
  Scalars shape;
};

FailureOr<SoftmaxInput> softmaxInput(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  bool isMatrix = node.version() < 13;
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", isMatrix ? 1 : -1), x.rank());
  if (failed(axis))
    return failure();
  SoftmaxInput input{widen(e, x), *axis, x.shape};
  if (isMatrix) {
    ArrayRef<OpFoldResult> shape(x.shape);
    input.x = e.reshape(input.x,
                        {e.product(shape.take_front(*axis)), e.product(shape.drop_front(*axis))});
    input.axis = 1;
  }
  return input;
}

LogicalResult lowerSoftmax(Node &node) {
  Emitter &e = node.emitter;
  FailureOr<SoftmaxInput> input = softmaxInput(node);
  if (failed(input))
    return failure();
  Tensor top = maximum(e, input->x, {input->axis}, true);
  Tensor exps = map<math::ExpOp>(e, combine<arith::SubFOp>(e, input->x, top));
  Tensor result = combine<arith::DivFOp>(e, exps, sum(e, exps, {input->axis}, true));
  return node.set(0, e.cast(e.reshape(result, input->shape), node.in(0).elementType));
}

LogicalResult lowerLogSoftmax(Node &node) {
  Emitter &e = node.emitter;
  FailureOr<SoftmaxInput> input = softmaxInput(node);
  if (failed(input))
    return failure();
  Tensor shifted = combine<arith::SubFOp>(e, input->x, maximum(e, input->x, {input->axis}, true));
  Tensor total = sum(e, map<math::ExpOp>(e, shifted), {input->axis}, true);
  Tensor result = combine<arith::SubFOp>(e, shifted, map<math::LogOp>(e, total));
  return node.set(0, e.cast(e.reshape(result, input->shape), node.in(0).elementType));
}

/// The position of the first (or last) extreme element along `axis`.
Tensor positionOfExtreme(Emitter &e, Tensor x, int64_t axis, bool largest, bool last) {
  Value source = e.value(x);
  Scalars shape(x.shape);
  shape.erase(shape.begin() + axis);
  Value extent = e.index(x.shape[axis]);
  return e.generate(shape, e.getIntegerType(64, true), [&](Emitter &b, ValueRange at) {
    auto indices = [&](Value i) {
      SmallVector<Value> all(at);
      all.insert(all.begin() + axis, i);
      return all;
    };
    Value first = b.read(source, indices(b.index(0)));
    auto loop = scf::ForOp::create(
        b, b.index(1), extent, b.index(1), ValueRange{first, b.index(0)},
        [&](OpBuilder &nested, Location loc, Value i, ValueRange best) {
          Emitter in(loc, nested);
          Value candidate = in.read(source, indices(i)), better;
          if (x.isFloat()) {
            using P = arith::CmpFPredicate;
            P predicate = largest ? (last ? P::OGE : P::OGT) : (last ? P::OLE : P::OLT);
            better = arith::CmpFOp::create(in, predicate, candidate, best[0]);
          } else {
            using P = arith::CmpIPredicate;
            P predicate = x.isUnsigned()
                              ? (largest ? (last ? P::uge : P::ugt) : (last ? P::ule : P::ult))
                              : (largest ? (last ? P::sge : P::sgt) : (last ? P::sle : P::slt));
            better = arith::CmpIOp::create(in, predicate, candidate, best[0]);
          }
          Value value = arith::SelectOp::create(in, better, candidate, best[0]);
          Value position = arith::SelectOp::create(in, better, i, best[1]);
          scf::YieldOp::create(in, ValueRange{value, position});
        });
    return arith::IndexCastOp::create(b, b.getI64Type(), loop.getResult(1)).getResult();
  });
}

template <bool largest> LogicalResult lowerArgExtreme(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  Tensor result = positionOfExtreme(e, x, *axis, largest, node.intAttr("select_last_index", 0));
  return node.set(0, node.intAttr("keepdims", 1) ? e.unsqueeze(result, {*axis}) : result);
}

LogicalResult lowerHardmax(Node &node) {
  Emitter &e = node.emitter;
  FailureOr<SoftmaxInput> input = softmaxInput(node);
  if (failed(input))
    return failure();
  Tensor top = positionOfExtreme(e, input->x, input->axis, true, false);
  Value positions = e.value(top);
  Type type = input->x.elementType;
  Tensor result = e.generate(input->x.shape, type, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> outer(at);
    outer.erase(outer.begin() + input->axis);
    Value chosen = arith::IndexCastOp::create(b, b.getIndexType(), b.read(positions, outer));
    Value same = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, chosen, at[input->axis]);
    return arith::SelectOp::create(b, same, b.constant(type, 1), b.constant(type, 0)).getResult();
  });
  return node.set(0, e.cast(e.reshape(result, input->shape), node.in(0).elementType));
}

/// Sums (or products) along an axis, each including what comes before it.
LogicalResult lowerCumulative(Node &node, bool isProduct) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<Scalars> given = node.list(1, 1);
  if (failed(given))
    return failure();
  Value axis = checkedIndex(e, e.index(given->front()), e.size(x.rank()));
  bool exclusive = node.intAttr("exclusive", 0), reverse = node.intAttr("reverse", 0);
  Tensor wide = widen(e, x);
  Value source = e.value(wide), extent = sizeAt(e, x.shape, axis);
  Type type = signlessType(wide.elementType);
  auto combine = [&](Emitter &in, Value a, Value b) -> Value {
    if (!x.isFloat())
      return isProduct ? in.mul(a, b) : in.add(a, b);
    return isProduct ? arith::MulFOp::create(in, a, b).getResult()
                     : arith::AddFOp::create(in, a, b).getResult();
  };
  Tensor result = e.generate(x.shape, wide.elementType, [&](Emitter &b, ValueRange at) {
    // Element i combines the elements from the start (or the end) up to its own.
    Value one = b.index(1), own = sizeAt(b, getAsOpFoldResult(at), axis);
    Value count = reverse ? b.sub(extent, own) : b.add(own, one);
    if (exclusive)
      count = b.sub(count, one);
    auto loop = scf::ForOp::create(
        b, b.index(0), count, one, ValueRange{b.constant(type, isProduct ? 1 : 0)},
        [&](OpBuilder &nested, Location loc, Value step, ValueRange total) {
          Emitter in(loc, nested);
          Value place = reverse ? in.sub(in.sub(extent, step), one) : step;
          SmallVector<Value> from;
          for (auto [dim, index] : llvm::enumerate(at))
            from.push_back(in.select(in.same(axis, in.index(dim)), place, index));
          scf::YieldOp::create(in, combine(in, total[0], in.read(source, from)));
        });
    return loop.getResult(0);
  });
  return node.set(0, e.cast(result, x.elementType));
}

LogicalResult lowerCumSum(Node &node) { return lowerCumulative(node, false); }
LogicalResult lowerCumProd(Node &node) { return lowerCumulative(node, true); }

const OperatorInfo kTable[] = {
    {"", "ArgMax", 1, 1, lowerArgExtreme<true>, 1},
    {"", "ArgMin", 1, 1, lowerArgExtreme<false>, 1},
    {"", "CumProd", 2, 2, lowerCumProd, 26},
    {"", "CumSum", 2, 2, lowerCumSum, 11},
    {"", "Hardmax", 1, 1, lowerHardmax, 1},
    {"", "LogSoftmax", 1, 1, lowerLogSoftmax, 1},
    {"", "ReduceL1", 1, 2, lowerReduce<Kind::l1>, 1},
    {"", "ReduceL2", 1, 2, lowerReduce<Kind::l2>, 1},
    {"", "ReduceLogSum", 1, 2, lowerReduce<Kind::logSum>, 1},
    {"", "ReduceLogSumExp", 1, 2, lowerReduce<Kind::logSumExp>, 1},
    {"", "ReduceMax", 1, 2, lowerReduce<Kind::max>, 1},
    {"", "ReduceMean", 1, 2, lowerReduce<Kind::mean>, 1},
    {"", "ReduceMin", 1, 2, lowerReduce<Kind::min>, 1},
    {"", "ReduceProd", 1, 2, lowerReduce<Kind::prod>, 1},
    {"", "ReduceSum", 1, 2, lowerReduce<Kind::sum>, 1},
    {"", "ReduceSumSquare", 1, 2, lowerReduce<Kind::sumSquare>, 1},
    {"", "Softmax", 1, 1, lowerSoftmax, 1},
};

} // namespace

ArrayRef<OperatorInfo> reductionOperators() { return kTable; }

} // namespace moec::raise
