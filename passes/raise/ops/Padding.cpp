//===- Padding.cpp - operators that add to the borders of tensors ----------===//
#include "passes/raise/ops/Axes.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// What is added (or, when negative, taken away) before and after each
/// dimension.
struct Pads {
  Scalars before, after;
};

/// Pads of axes that only the data tells.
Pads padsAtRunTime(Node &node) {
  Emitter &e = node.emitter;
  Tensor axes = node.in(3);
  Value list = e.value(node.in(1)), count = e.index(axes.shape[0]);
  e.check(e.same(e.index(node.in(1).shape[0]), e.add(count, count)),
          "the number of pads is not twice that of the axes");
  SmallVector<Value> none(node.in(0).rank(), e.index(0));
  auto from = [&](Value first) {
    return getAsOpFoldResult(
        spreadOverDims(e, axes.shape[0], axes, none, [&](Emitter &in, Value at) {
          return readList(in, list, in.add(at, first));
        }));
  };
  return {Scalars(from(e.index(0))), Scalars(from(count))};
}

FailureOr<Pads> padsOf(Node &node) {
  Emitter &e = node.emitter;
  int64_t rank = node.in(0).rank();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (node.has(3)) {
    std::optional<SmallVector<int64_t>> known = node.knownInts(3);
    if (!known)
      return padsAtRunTime(node);
    FailureOr<SmallVector<int64_t>> counted = node.axes(*known, rank);
    if (failed(counted))
      return failure();
    axes = *counted;
  }
  Scalars given;
  if (node.has(1)) {
    FailureOr<Scalars> list = node.list(1, 2 * axes.size());
    if (failed(list))
      return failure();
    given = *list;
  } else {
    for (int64_t pad : node.intsAttr("pads").value_or(SmallVector<int64_t>{}))
      given.push_back(e.size(pad));
  }
  if (given.size() != 2 * axes.size())
    return node.refuse("it has ") << given.size() << " pads for " << axes.size() << " dimensions";
  Pads pads{Scalars(rank, e.size(0)), Scalars(rank, e.size(0))};
  for (auto [i, dim] : llvm::enumerate(axes)) {
    pads.before[dim] = given[i];
    pads.after[dim] = given[axes.size() + i];
  }
  return pads;
}

LogicalResult lowerPad(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<Pads> pads = padsOf(node);
  if (failed(pads))
    return failure();
  Scalars shape;
  for (auto [size, before, after] : llvm::zip_equal(x.shape, pads->before, pads->after))
    shape.push_back(e.add(size, e.add(before, after)));
  StringRef mode = node.stringAttr("mode", "constant");
  Type signless = signlessType(x.elementType);
  Value fill = e.constant(signless, node.floatAttr("value", 0));
  if (node.has(2)) {
    Tensor given = e.reshape(node.in(2), {});
    fill = e.createOrFold<tensor::ExtractOp>(e.value(given), ValueRange{});
  }
  Value source = e.value(x);
  return node.set(0, e.generate(shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from;
    Value inside = b.constant(b.getI1Type(), 1);
    for (auto [dim, index] : llvm::enumerate(at)) {
      Value size = b.index(x.shape[dim]), zero = b.index(0), one = b.index(1);
      Value last = b.createOrFold<arith::SubIOp>(size, one);
      Value i = b.createOrFold<arith::SubIOp>(index, b.index(pads->before[dim]));
      if (mode == "wrap") {
        Value rest = b.createOrFold<arith::RemSIOp>(i, size);
        Value negative = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, rest, zero);
        i = b.createOrFold<arith::SelectOp>(negative, b.createOrFold<arith::AddIOp>(rest, size),
                                            rest);
      } else if (mode == "reflect") {
        // The period is twice the distance between the first and the last.
        Value period =
            b.createOrFold<arith::MaxSIOp>(b.createOrFold<arith::MulIOp>(last, b.index(2)), one);
        Value distance = b.createOrFold<arith::RemSIOp>(
            b.createOrFold<arith::MaxSIOp>(i, b.createOrFold<arith::SubIOp>(zero, i)), period);
        i = b.createOrFold<arith::MinSIOp>(distance,
                                           b.createOrFold<arith::SubIOp>(period, distance));
        i = b.createOrFold<arith::MinSIOp>(i, last);
      } else {
        Value clamped =
            b.createOrFold<arith::MaxSIOp>(zero, b.createOrFold<arith::MinSIOp>(i, last));
        Value same = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, clamped, i);
        inside = b.createOrFold<arith::AndIOp>(inside, same);
        i = clamped;
      }
      from.push_back(i);
    }
    if (mode != "constant")
      return b.read(source, from);
    // An empty source has nothing to read, not even where it is not used.
    return b.readIf(inside, source, from, fill);
  }));
}

const OperatorInfo kTable[] = {
    {"", "Pad", 1, 4, lowerPad, 11},
};

} // namespace

ArrayRef<OperatorInfo> paddingOperators() { return kTable; }

} // namespace moec::raise
