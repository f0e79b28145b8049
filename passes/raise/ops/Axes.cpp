#include "passes/raise/ops/Axes.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/raise/ops/Helpers.h"

using namespace mlir;

namespace moec::raise {

SmallVector<Value> spreadOverDims(Emitter &e, OpFoldResult count, std::optional<Tensor> axes,
                                  ArrayRef<Value> defaults, ListReader read) {
  int64_t rank = defaults.size();
  Value names = axes ? e.value(*axes) : Value();
  auto loop =
      scf::ForOp::create(e, e.index(0), e.index(count), e.index(1), defaults,
                         [&](OpBuilder &nested, Location loc, Value i, ValueRange numbers) {
                           Emitter in(loc, nested);
                           Value named =
                               names ? in.read(names, i) : in.fromIndex(i, in.getI64Type());
                           Value dim = checkedIndex(in, named, in.size(rank)), given = read(in, i);
                           SmallVector<Value> next;
                           for (auto [own, number] : llvm::enumerate(numbers))
                             next.push_back(in.select(in.same(dim, in.index(own)), given, number));
                           scf::YieldOp::create(in, next);
                         });
  return SmallVector<Value>(loop.getResults());
}

SmallVector<Value> namedDims(Emitter &e, Tensor axes, int64_t rank) {
  SmallVector<Value> none(rank, e.index(0));
  SmallVector<Value> flags =
      spreadOverDims(e, axes.shape[0], axes, none, [](Emitter &in, Value) { return in.index(1); });
  for (Value &flag : flags)
    flag = e.same(flag, e.index(1));
  return flags;
}

std::optional<int64_t> rankWithout(const Tensor &axes, int64_t rank) {
  // No axes may mean all of them.
  std::optional<int64_t> count = getConstantIntValue(axes.shape[0]);
  return count && *count > 0 ? std::optional(rank - *count) : std::nullopt;
}

Value sizeAt(Emitter &e, ArrayRef<OpFoldResult> shape, Value at) {
  Value size = e.index(1);
  for (auto [dim, own] : llvm::enumerate(shape))
    size = e.select(e.same(at, e.index(dim)), e.index(own), size);
  return size;
}

Scalars keptSizes(Emitter &e, ArrayRef<OpFoldResult> shape, ArrayRef<Value> isKept, int64_t count) {
  SmallVector<Value> kept(count, e.index(1));
  Value position = e.index(0);
  for (auto [size, keep] : llvm::zip_equal(shape, isKept)) {
    for (auto [place, own] : llvm::enumerate(kept))
      own = e.select(e.both(keep, e.same(position, e.index(place))), e.index(size), own);
    position = e.select(keep, e.add(position, e.index(1)), position);
  }
  e.check(e.same(position, e.index(count)), "the axes do not fit the rank of the result");
  return getAsOpFoldResult(kept);
}

Scalars trailingSizes(Emitter &e, Tensor list, int64_t rank) {
  Value sizes = e.value(list), length = e.index(list.shape[0]);
  e.check(e.negation(e.less(e.index(rank), length)), "a shape exceeds the rank of the result");
  Scalars shape;
  for (int64_t dim = 0; dim < rank; ++dim) {
    Value at = e.sub(e.add(length, e.index(dim)), e.index(rank));
    Value one = e.constant(signlessType(list.elementType), 1);
    Value size = e.readIf(e.negation(e.less(at, e.index(0))), sizes, at, one);
    shape.push_back(getAsOpFoldResult(e.toIndex(size)));
  }
  return shape;
}

} // namespace moec::raise
