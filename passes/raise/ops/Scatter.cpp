//===- Scatter.cpp - operators that write by index -------------------------===//
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace moec::raise {
namespace {

enum class Combine { replace, add, mul, max, min };

FailureOr<Combine> combineOf(Node &node) {
  StringRef name = node.stringAttr("reduction", "none");
  auto kind = llvm::StringSwitch<std::optional<Combine>>(name)
                  .Case("none", Combine::replace)
                  .Case("add", Combine::add)
                  .Case("mul", Combine::mul)
                  .Case("max", Combine::max)
                  .Case("min", Combine::min)
                  .Default(std::nullopt);
  if (!kind)
    return node.refuse("reduction '") << name << "' is unknown";
  return *kind;
}

Value combine(Emitter &e, const Tensor &like, Combine kind, Value old, Value update) {
  bool isFloat = like.isFloat(), isUnsigned = like.isUnsigned() || like.isBool();
  switch (kind) {
  case Combine::replace:
    return update;
  case Combine::add:
    return isFloat ? arith::AddFOp::create(e, old, update).getResult() : e.add(old, update);
  case Combine::mul:
    return isFloat ? arith::MulFOp::create(e, old, update).getResult() : e.mul(old, update);
  case Combine::max:
    if (isFloat)
      return arith::MaximumFOp::create(e, old, update);
    return isUnsigned ? arith::MaxUIOp::create(e, old, update).getResult() : e.max(old, update);
  case Combine::min:
    if (isFloat)
      return arith::MinimumFOp::create(e, old, update);
    return isUnsigned ? arith::MinUIOp::create(e, old, update).getResult() : e.min(old, update);
  }
  llvm_unreachable("all kinds are handled");
}

/// The updates of each row: the first of them, and after each the next one of
/// the same row; -1 ends a row.
struct Chains {
  Value first, next;
};

/// `targets` are the rows that updates go to. When updates replace, only the
/// last one of each row counts.
Chains chainUpdates(Emitter &e, Value targets, OpFoldResult rows, OpFoldResult count,
                    bool onlyLast) {
  Type i64 = e.getI64Type();
  Value none = e.constant(i64, -1), last = e.index(e.sub(count, e.size(1)));
  Value first = e.filled({rows}, none), next = e.filled({onlyLast ? e.size(0) : count}, none);
  auto loop = scf::ForOp::create(
      e, e.index(0), e.index(count), e.index(1), ValueRange{first, next},
      [&](OpBuilder &nested, Location loc, Value step, ValueRange chains) {
        Emitter in(loc, nested);
        Value update = onlyLast ? step : in.sub(last, step);
        Value row = in.toIndex(in.read(targets, update)), links = chains[1];
        if (!onlyLast)
          links = tensor::InsertOp::create(in, in.read(chains[0], row), links, update);
        Value heads = tensor::InsertOp::create(in, in.fromIndex(update, i64), chains[0], row);
        scf::YieldOp::create(in, ValueRange{heads, links});
      });
  return {loop.getResult(0), loop.getResult(1)};
}

/// Combines row targets[u] of `data` [rows, width] with row u of `updates`
/// [count, width], in the order of u.
Tensor scatterRows(Emitter &e, Tensor data, Tensor updates, Tensor targets, Combine kind) {
  bool isReplace = kind == Combine::replace;
  Chains chains = chainUpdates(e, e.value(targets), data.shape[0], updates.shape[0], isReplace);
  Value old = e.value(data), given = e.value(updates);
  return e.generate(data.shape, data.elementType, [&](Emitter &b, ValueRange at) -> Value {
    Value first = b.read(chains.first, at[0]), element = b.read(old, at);
    Value zero = b.constant(b.getI64Type(), 0);
    if (isReplace)
      return b.readIf(b.negation(b.less(first, zero)), given, {b.toIndex(first), at[1]}, element);
    auto loop = scf::WhileOp::create(
        b, TypeRange{first.getType(), element.getType()}, ValueRange{first, element},
        [&](OpBuilder &nested, Location loc, ValueRange state) {
          Emitter in(loc, nested);
          scf::ConditionOp::create(in, in.negation(in.less(state[0], zero)), state);
        },
        [&](OpBuilder &nested, Location loc, ValueRange state) {
          Emitter in(loc, nested);
          Value update = in.toIndex(state[0]);
          Value next = combine(in, data, kind, state[1], in.read(given, {update, at[1]}));
          scf::YieldOp::create(in, ValueRange{in.read(chains.next, update), next});
        });
    return loop.getResult(1);
  });
}

LogicalResult lowerScatterElements(Node &node) {
  Emitter &e = node.emitter;
  Tensor data = node.in(0), indices = node.in(1), updates = node.in(2);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", 0), data.rank());
  FailureOr<Combine> kind = combineOf(node);
  if (failed(axis) || failed(kind))
    return failure();
  if (indices.rank() != data.rank() || updates.rank() != data.rank())
    return node.refuse("its inputs differ in rank");
  Value positions = e.value(indices);
  Tensor targets =
      e.generate(indices.shape, e.getIntegerType(64, true), [&](Emitter &b, ValueRange at) {
        SmallVector<Value> to(at);
        to[*axis] = checkedIndex(b, b.read(positions, at), data.shape[*axis]);
        return b.fromIndex(b.linearIndex(to, data.shape), b.getI64Type());
      });
  OpFoldResult total = e.product(data.shape), count = e.product(indices.shape), one = e.size(1);
  Tensor result = scatterRows(e, e.reshape(data, {total, one}), e.reshape(updates, {count, one}),
                              e.reshape(targets, {count}), *kind);
  return node.set(0, e.reshape(result, data.shape));
}

LogicalResult lowerScatterND(Node &node) {
  Emitter &e = node.emitter;
  Tensor data = node.in(0), indices = node.in(1), updates = node.in(2);
  FailureOr<Combine> kind = combineOf(node);
  if (failed(kind))
    return failure();
  // The rank of the updates tells how many dimensions one index has.
  int64_t length = data.rank() - updates.rank() + indices.rank() - 1;
  if (indices.rank() < 1 || length < 0 || length > data.rank())
    return node.refuse("the ranks of its inputs do not fit");
  ArrayRef<OpFoldResult> shape(data.shape), batch = ArrayRef(indices.shape).drop_back();
  OpFoldResult count = e.product(batch), width = e.product(shape.drop_front(length));
  Tensor lists = e.reshape(indices, {count, e.size(length)});
  Value positions = e.value(lists);
  Tensor targets = e.generate({count}, e.getIntegerType(64, true), [&](Emitter &b, ValueRange at) {
    SmallVector<Value> to;
    for (int64_t dim = 0; dim < length; ++dim)
      to.push_back(checkedIndex(b, b.read(positions, {at[0], b.index(dim)}), shape[dim]));
    return b.fromIndex(b.linearIndex(to, shape.take_front(length)), b.getI64Type());
  });
  Tensor rows = e.reshape(data, {e.product(shape.take_front(length)), width});
  Tensor result = scatterRows(e, rows, e.reshape(updates, {count, width}), targets, *kind);
  return node.set(0, e.reshape(result, data.shape));
}

/// Overwrites a stretch of `cache` along an axis, which starts at an index of
/// its own in each row of the batch.
LogicalResult lowerTensorScatter(Node &node) {
  Emitter &e = node.emitter;
  Tensor cache = node.in(0), update = node.in(1);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", -2), cache.rank());
  if (failed(axis))
    return failure();
  if (*axis == 0)
    return node.refuse("axis must not be that of the batch");
  bool isCircular = node.stringAttr("mode", "linear") == "circular";
  Value old = e.value(cache), given = e.value(update);
  Value starts = node.has(2) ? e.value(node.in(2)) : Value();
  Value capacity = e.index(cache.shape[*axis]), length = e.index(update.shape[*axis]);
  return node.set(0, e.generate(cache.shape, cache.elementType, [&](Emitter &b, ValueRange at) {
    Value zero = b.index(0), start = starts ? b.toIndex(b.read(starts, at[0])) : zero;
    Value end = isCircular ? length : b.add(start, length);
    b.check(b.both(b.negation(b.less(start, zero)), b.negation(b.less(capacity, end))),
            "an update does not fit into the cache");
    Value offset = b.sub(at[*axis], start);
    if (isCircular) {
      Value turns = b.add(b.quotient(start, capacity), b.index(1));
      offset = b.remainder(b.add(offset, b.mul(capacity, turns)), capacity);
    }
    Value inside = b.both(b.negation(b.less(offset, zero)), b.less(offset, length));
    SmallVector<Value> from(at);
    from[*axis] = offset;
    return b.readIf(inside, given, from, b.read(old, at));
  }));
}

const OperatorInfo kTable[] = {
    {"", "Scatter", 3, 3, lowerScatterElements, 9},
    {"", "ScatterElements", 3, 3, lowerScatterElements, 11},
    {"", "ScatterND", 3, 3, lowerScatterND, 11},
    {"", "TensorScatter", 2, 3, lowerTensorScatter, 24},
};

} // namespace

ArrayRef<OperatorInfo> scatterOperators() { return kTable; }

} // namespace moec::raise
