//===- Selection.cpp - operators that sort and select elements -------------===//
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

Type int64(Emitter &e) { return e.getIntegerType(64, true); }

//===--- Sorting -----------------------------------------------------------===//

/// Positions of the elements of `x` along an axis, in sorted order. Equal
/// elements stay in their order.
///
/// A merge sort of which each pass is one parallel computation: an element of a
/// merged run finds the two heads that it is the lesser of by binary search.
class Sorter {
public:
  Sorter(Emitter &e, Tensor x, int64_t axis, bool descending)
      : x(x), axis(axis), descending(descending), source(e.value(x)),
        extent(e.index(x.shape[axis])) {}

  Tensor positions(Emitter &e) {
    Tensor start = e.generate(x.shape, int64(e), [&](Emitter &b, ValueRange at) {
      return b.fromIndex(at[axis], b.getI64Type());
    });
    Value order = e.value(start);
    auto loop = scf::WhileOp::create(
        e, TypeRange{e.getIndexType(), order.getType()}, ValueRange{e.index(1), order},
        [&](OpBuilder &nested, Location loc, ValueRange state) {
          Emitter in(loc, nested);
          scf::ConditionOp::create(in, in.less(state[0], extent), state);
        },
        [&](OpBuilder &nested, Location loc, ValueRange state) {
          Emitter in(loc, nested);
          Tensor merged = in.generate(x.shape, int64(in), [&](Emitter &b, ValueRange at) {
            return mergedElement(b, at, state[0], state[1]);
          });
          scf::YieldOp::create(in, ValueRange{in.mul(state[0], in.index(2)), in.value(merged)});
        });
    return e.tensor(loop.getResult(1), int64(e), x.shape);
  }

private:
  /// Whether element `a` of x must stand before element `b`.
  Value precedes(Emitter &e, ValueRange at, Value a, Value b) {
    SmallVector<Value> from(at);
    from[axis] = e.toIndex(a);
    Value first = e.read(source, from);
    from[axis] = e.toIndex(b);
    Value second = e.read(source, from);
    if (descending)
      std::swap(first, second);
    if (x.isFloat())
      return arith::CmpFOp::create(e, arith::CmpFPredicate::OLT, first, second);
    auto predicate =
        x.isUnsigned() || x.isBool() ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt;
    return arith::CmpIOp::create(e, predicate, first, second);
  }

  /// What stands at `at` once each two runs of `width` elements are merged.
  Value mergedElement(Emitter &e, ValueRange at, Value width, Value order) {
    auto ordered = [&](Emitter &in, Value position) {
      SmallVector<Value> from(at);
      from[axis] = position;
      return in.read(order, from);
    };
    Value one = e.index(1), both = e.mul(width, e.index(2));
    Value place = e.remainder(at[axis], both), left = e.sub(at[axis], place);
    Value right = e.min(e.add(left, width), extent);
    Value lefts = e.sub(right, left), rights = e.sub(e.min(e.add(left, both), extent), right);
    // How many elements of the left run are among the first `place`.
    Value low = e.max(e.index(0), e.sub(place, rights)), high = e.min(place, lefts);
    auto search = scf::WhileOp::create(
        e, TypeRange{low.getType(), high.getType()}, ValueRange{low, high},
        [&](OpBuilder &nested, Location loc, ValueRange range) {
          Emitter in(loc, nested);
          scf::ConditionOp::create(in, in.less(range[0], range[1]), range);
        },
        [&](OpBuilder &nested, Location loc, ValueRange range) {
          Emitter in(loc, nested);
          Value middle = in.quotient(in.add(range[0], range[1]), in.index(2));
          Value other = in.sub(in.sub(in.add(right, place), middle), in.index(1));
          Value isRight = precedes(in, at, ordered(in, other), ordered(in, in.add(left, middle)));
          Value above = in.add(middle, in.index(1));
          scf::YieldOp::create(in, ValueRange{in.select(isRight, range[0], above),
                                              in.select(isRight, middle, range[1])});
        });
    Value taken = search.getResult(0), others = e.sub(place, taken);
    // Beyond the end of a run any element will do: it is not chosen.
    Value head = ordered(e, e.add(left, e.min(taken, e.sub(lefts, one))));
    Value rival = ordered(e, e.min(e.add(right, others), e.sub(extent, one)));
    Value hasLeft = e.less(taken, lefts), hasRight = e.less(others, rights);
    Value isRival = e.both(hasRight, precedes(e, at, rival, head));
    return e.select(e.both(hasLeft, e.negation(isRival)), head, rival);
  }

  Tensor x;
  int64_t axis;
  bool descending;
  Value source, extent;
};

LogicalResult lowerTopK(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  node.ignore({"sorted"}); // where any order will do, the sorted one will
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", -1), x.rank());
  if (failed(axis))
    return failure();
  OpFoldResult k = e.size(node.intAttr("k", 0));
  if (node.has(1)) {
    FailureOr<Scalars> given = node.list(1, 1);
    if (failed(given))
      return failure();
    k = given->front();
  }
  Value count = e.index(k), extent = e.index(x.shape[*axis]);
  e.check(e.negation(e.less(extent, count)), "k exceeds the number of elements");
  Tensor order = Sorter(e, x, *axis, node.intAttr("largest", 1)).positions(e);
  Value positions = e.value(order), source = e.value(x);
  Scalars shape(x.shape);
  shape[*axis] = k;
  Tensor indices =
      e.generate(shape, int64(e), [&](Emitter &b, ValueRange at) { return b.read(positions, at); });
  Tensor values = e.generate(shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at);
    from[*axis] = b.toIndex(b.read(positions, at));
    return b.read(source, from);
  });
  (void)node.set(0, values);
  return node.set(1, indices);
}

//===--- Selecting: how much is chosen depends on the data -----------------===//

/// The ascending positions of the true elements of a list.
Tensor positionsOf(Emitter &e, Tensor flags) {
  Type i64 = e.getI64Type();
  Tensor total = e.reduce(e.cast(flags, int64(e)), {0}, false, e.constant(i64, 0),
                          [](Emitter &b, ValueRange v) { return b.add(v[0], v[1]); });
  Value chosen = e.value(flags);
  Value count = e.toIndex(e.read(e.value(total), ValueRange{}));
  Value none = e.empty({getAsOpFoldResult(count)}, i64);
  auto loop = scf::ForOp::create(
      e, e.index(0), e.index(flags.shape[0]), e.index(1), ValueRange{none, e.index(0)},
      [&](OpBuilder &nested, Location loc, Value i, ValueRange state) {
        Emitter in(loc, nested);
        auto step = scf::IfOp::create(
            in, in.read(chosen, i),
            [&](OpBuilder &inner, Location loc) {
              Emitter b(loc, inner);
              Value list = tensor::InsertOp::create(b, b.fromIndex(i, i64), state[0], state[1]);
              scf::YieldOp::create(b, ValueRange{list, b.add(state[1], b.index(1))});
            },
            [&](OpBuilder &inner, Location loc) { scf::YieldOp::create(inner, loc, state); });
        scf::YieldOp::create(in, step.getResults());
      });
  return e.tensor(loop.getResult(0), int64(e), {getAsOpFoldResult(count)});
}

LogicalResult lowerNonZero(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  if (x.rank() == 0)
    x = e.reshape(x, {e.size(1)});
  Tensor flags = e.cast(e.reshape(x, {e.product(x.shape)}), e.getI1Type());
  Tensor found = positionsOf(e, flags);
  Value positions = e.value(found);
  Scalars shape{e.size(x.rank()), found.shape[0]};
  return node.set(0, e.generate(shape, int64(e), [&](Emitter &b, ValueRange at) {
    Value linear = b.toIndex(b.read(positions, at[1])), result = b.index(0);
    for (auto [dim, index] : llvm::enumerate(b.indicesOf(linear, x.shape)))
      result = b.select(b.same(at[0], b.index(dim)), index, result);
    return b.fromIndex(result, b.getI64Type());
  }));
}

/// The slices along an axis whose condition is true; without an axis, elements.
LogicalResult lowerCompress(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), condition = node.in(1);
  int64_t axis = 0;
  if (!node.hasAttr("axis")) {
    x = e.reshape(x, {e.product(x.shape)});
  } else {
    FailureOr<int64_t> given = node.axis(node.intAttr("axis", 0), x.rank());
    if (failed(given))
      return failure();
    axis = *given;
  }
  Value extent = e.index(x.shape[axis]), length = e.index(condition.shape[0]);
  e.check(e.negation(e.less(extent, length)), "there are more conditions than elements");
  Tensor found = positionsOf(e, condition);
  Value positions = e.value(found), source = e.value(x);
  Scalars shape(x.shape);
  shape[axis] = found.shape[0];
  return node.set(0, e.generate(shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at);
    from[axis] = b.toIndex(b.read(positions, at[axis]));
    return b.read(source, from);
  }));
}

const OperatorInfo kTable[] = {
    {"", "Compress", 2, 2, lowerCompress, 9},
    {"", "NonZero", 1, 1, lowerNonZero, 9},
    {"", "TopK", 1, 2, lowerTopK, 1},
};

} // namespace

ArrayRef<OperatorInfo> selectionOperators() { return kTable; }

} // namespace moec::raise
