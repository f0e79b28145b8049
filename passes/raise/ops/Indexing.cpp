//===- Indexing.cpp - operators that read and write by index ---------------===//
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {

Value checkedIndex(Emitter &e, Value given, OpFoldResult size) {
  Value index = e.toIndex(given), extent = e.index(size), zero = e.index(0);
  Value counted = e.select(e.less(index, zero), e.add(index, extent), index);
  e.check(e.both(e.negation(e.less(counted, zero)), e.less(counted, extent)),
          "an index is out of bounds");
  return counted;
}

namespace {

LogicalResult lowerGather(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), indices = node.in(1);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  if (x.elements && x.rank() == 1 && indices.elements) {
    Scalars taken;
    for (OpFoldResult at : *indices.elements) {
      std::optional<int64_t> known = getConstantIntValue(at);
      if (!known)
        break;
      int64_t size = x.elements->size(), counted = *known < 0 ? *known + size : *known;
      if (counted < 0 || counted >= size)
        return node.refuse("index ") << *known << " is outside " << size << " elements";
      taken.push_back((*x.elements)[counted]);
    }
    if (taken.size() == indices.elements->size())
      return node.set(0, e.fromElements(taken, x.elementType, indices.rank() == 0));
  }
  Scalars shape(x.shape.begin(), x.shape.begin() + *axis);
  llvm::append_range(shape, indices.shape);
  shape.append(x.shape.begin() + *axis + 1, x.shape.end());
  Value source = e.value(x), positions = e.value(indices);
  int64_t count = indices.rank();
  return node.set(0, e.generate(shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at.take_front(*axis));
    Value given = b.read(positions, at.slice(*axis, count));
    from.push_back(checkedIndex(b, given, x.shape[*axis]));
    llvm::append_range(from, at.drop_front(*axis + count));
    return b.read(source, from);
  }));
}

LogicalResult lowerGatherElements(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), indices = node.in(1);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  Value source = e.value(x), positions = e.value(indices);
  return node.set(0, e.generate(indices.shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at);
    from[*axis] = checkedIndex(b, b.read(positions, at), x.shape[*axis]);
    return b.read(source, from);
  }));
}

LogicalResult lowerGatherND(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), indices = node.in(1);
  int64_t batch = node.intAttr("batch_dims", 0), outer = indices.rank() - 1;
  if (outer < 0 || batch < 0 || batch > std::min(outer, x.rank()))
    return node.refuse("batch_dims ") << batch << " does not fit the ranks of its inputs";
  // How many dimensions one index has follows from the rank of the result, too.
  std::optional<int64_t> length = getConstantIntValue(indices.shape[outer]);
  if (std::optional<int64_t> rank = node.declaredRank(0); rank && !length)
    length = outer + x.rank() - batch - *rank;
  if (!length)
    return node.refuse("the last size of its indices must be known at compile time");
  if (*length < 1 || batch + *length > x.rank())
    return node.refuse("indices of ") << *length << " dimensions do not fit the input";
  Scalars lists(indices.shape), shape(indices.shape);
  lists.back() = e.size(*length);
  indices = e.reshape(indices, lists);
  shape.pop_back();
  shape.append(x.shape.begin() + batch + *length, x.shape.end());
  Value source = e.value(x), positions = e.value(indices);
  return node.set(0, e.generate(shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at.take_front(batch)), where(at.take_front(outer));
    where.push_back(Value());
    for (int64_t i = 0; i < *length; ++i) {
      where.back() = b.index(i);
      from.push_back(checkedIndex(b, b.read(positions, where), x.shape[batch + i]));
    }
    llvm::append_range(from, at.drop_front(outer));
    return b.read(source, from);
  }));
}

/// The value on where the index is that of the element, else the value off.
LogicalResult lowerOneHot(Node &node) {
  Emitter &e = node.emitter;
  Tensor indices = node.in(0), depthInput = e.reshape(node.in(1), {}), values = node.in(2);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", -1), indices.rank() + 1);
  if (failed(axis))
    return failure();
  depthInput = e.cast(depthInput, e.getIntegerType(64, true));
  OpFoldResult depth = e.elementsOf(depthInput)->front();
  Scalars shape(indices.shape);
  shape.insert(shape.begin() + *axis, depth);
  Type i64 = e.getIntegerType(64, true);
  Value positions = e.value(indices), choices = e.value(values), extent = e.index(depth);
  return node.set(0, e.generate(shape, values.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at);
    from.erase(from.begin() + *axis);
    Value given = b.toIndex(b.convert(b.read(positions, from), indices.elementType, i64));
    Value counted = b.select(b.less(given, b.index(0)), b.add(given, extent), given);
    Value isOn = b.same(counted, at[*axis]);
    return b.read(choices, b.select(isOn, b.index(1), b.index(0)));
  }));
}

/// The triangle of matrices above (or below) diagonal k.
LogicalResult lowerTrilu(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  if (x.rank() < 2)
    return node.refuse("its input must have at least two dimensions");
  OpFoldResult k = e.size(0);
  if (node.has(1)) {
    Tensor given = e.reshape(node.in(1), {});
    k = e.elementsOf(given)->front();
  }
  bool isUpper = node.intAttr("upper", 1);
  Value diagonal = e.index(k);
  return node.set(0, e.elementwise({x}, x.elementType, [&](Emitter &b, ValueRange v) {
    Value row = linalg::IndexOp::create(b, x.rank() - 2);
    Value column = linalg::IndexOp::create(b, x.rank() - 1);
    Value edge = b.add(row, diagonal);
    Value isOutside = isUpper ? b.less(column, edge) : b.less(edge, column);
    return b.select(isOutside, b.constant(v[0].getType(), 0), v[0]);
  }));
}

/// Turns round the first lengths[b] elements of each row along the time axis.
LogicalResult lowerReverseSequence(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<int64_t> batch = node.axis(node.intAttr("batch_axis", 1), x.rank());
  FailureOr<int64_t> time = node.axis(node.intAttr("time_axis", 0), x.rank());
  if (failed(batch) || failed(time))
    return failure();
  Value source = e.value(x), lengths = e.value(node.in(1));
  return node.set(0, e.generate(x.shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from(at);
    Value length = b.toIndex(b.read(lengths, at[*batch]));
    b.check(b.less(b.sub(length, b.index(1)), b.index(x.shape[*time])),
            "a sequence is longer than its tensor");
    Value turned = b.sub(b.sub(length, b.index(1)), at[*time]);
    from[*time] = b.select(b.less(at[*time], length), turned, at[*time]);
    return b.read(source, from);
  }));
}

const OperatorInfo kTable[] = {
    {"", "Gather", 2, 2, lowerGather, 1},
    {"", "GatherElements", 2, 2, lowerGatherElements, 11},
    {"", "GatherND", 2, 2, lowerGatherND, 11},
    {"", "OneHot", 3, 3, lowerOneHot, 9},
    {"", "ReverseSequence", 2, 2, lowerReverseSequence, 10},
    {"", "Trilu", 1, 2, lowerTrilu, 14},
};

} // namespace

ArrayRef<OperatorInfo> indexingOperators() { return kTable; }

} // namespace moec::raise
