//===- Slicing.cpp - operators that take tensors apart and join them -------===//
#include "passes/raise/ops/Axes.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// Whether a tensor is known to have no elements. Slices of nothing may start
/// past the end, which those of the tensor dialect may not.
bool isEmpty(ArrayRef<OpFoldResult> shape) {
  return llvm::any_of(shape, [](OpFoldResult size) { return isConstantIntValue(size, 0); });
}

/// Writes `parts` one behind the other along `axis`.
Tensor concatenate(Emitter &e, MutableArrayRef<Tensor> parts, int64_t axis) {
  Scalars shape = parts.front().shape;
  for (Tensor &part : parts.drop_front())
    for (int64_t dim = 0; dim < part.rank(); ++dim)
      if (dim == axis)
        shape[dim] = e.add(shape[dim], part.shape[dim]);
      else if (getConstantIntValue(part.shape[dim]))
        shape[dim] = part.shape[dim];
  Type elementType = parts.front().elementType;
  Value result = e.empty(shape, signlessType(elementType));
  Scalars offsets(shape.size(), e.size(0)), strides(shape.size(), e.size(1));
  for (Tensor &part : parts) {
    Scalars sizes(shape);
    sizes[axis] = part.shape[axis];
    if (isEmpty(part.shape))
      continue;
    Tensor refined = e.tensor(e.value(part), elementType, sizes);
    result = tensor::InsertSliceOp::create(e, refined.data, result, offsets, sizes, strides);
    offsets[axis] = e.add(offsets[axis], part.shape[axis]);
  }
  return e.tensor(result, elementType, shape);
}

LogicalResult lowerConcat(Node &node) {
  Emitter &e = node.emitter;
  SmallVector<Tensor> parts;
  for (unsigned i = 0; i < node.numInputs(); ++i)
    parts.push_back(node.in(i));
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", 0), parts.front().rank());
  if (failed(axis))
    return failure();
  if (parts.front().rank() == 1 &&
      llvm::all_of(parts, [](Tensor &part) { return part.elements; })) {
    Scalars all;
    for (Tensor &part : parts)
      llvm::append_range(all, *part.elements);
    if (all.size() <= 64)
      return node.set(0, e.fromElements(all, parts.front().elementType));
  }
  if (parts.size() == 1)
    return node.set(0, parts.front());
  return node.set(0, concatenate(e, parts, *axis));
}

Tensor slice(Emitter &e, Tensor x, Scalars offsets, Scalars sizes,
             std::optional<Scalars> strides = std::nullopt) {
  if (isEmpty(sizes) || isEmpty(x.shape))
    return e.tensor(e.empty(sizes, signlessType(x.elementType)), x.elementType, sizes);
  Value result = tensor::ExtractSliceOp::create(e, e.value(x), offsets, sizes,
                                                strides.value_or(Scalars(sizes.size(), e.size(1))));
  return e.tensor(result, x.elementType, sizes);
}

LogicalResult lowerSplit(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  // Outputs that nobody uses may be missing at the end.
  int64_t count = node.intAttr("num_outputs", node.numOutputs());
  Scalars lengths;
  if (node.has(1)) {
    FailureOr<Scalars> given = node.list(1, node.numOutputs());
    if (failed(given))
      return failure();
    lengths = *given;
  } else if (auto given = node.intsAttr("split")) {
    for (int64_t length : *given)
      lengths.push_back(e.size(length));
  } else {
    // Equal parts, the last one shorter.
    if (count < 1)
      return node.refuse("num_outputs is ") << count;
    OpFoldResult part = e.divide(e.add(x.shape[*axis], e.size(count - 1)), e.size(count));
    OpFoldResult rest = x.shape[*axis];
    for (int64_t i = 0; i < count; ++i) {
      lengths.push_back(i + 1 == count ? rest : e.min(part, rest));
      rest = e.sub(rest, lengths.back());
    }
  }
  if (lengths.size() < node.numOutputs())
    return node.refuse("it has ") << node.numOutputs() << " outputs, but " << lengths.size()
                                  << " lengths";
  OpFoldResult offset = e.size(0);
  for (auto [i, length] : llvm::enumerate(lengths)) {
    if (x.elements && x.rank() == 1) {
      auto first = x.elements->begin() + *getConstantIntValue(offset);
      (void)node.set(
          i, e.fromElements(Scalars(first, first + *getConstantIntValue(length)), x.elementType));
    } else {
      Scalars offsets(x.rank(), e.size(0)), sizes(x.shape);
      offsets[*axis] = offset;
      sizes[*axis] = length;
      (void)node.set(i, slice(e, x, offsets, sizes));
    }
    offset = e.add(offset, length);
  }
  return success();
}

/// One dimension of a Slice: where it starts and how long it is.
struct Range {
  OpFoldResult start, length;
  int64_t step;
};

/// ONNX's clamping of start and end, for sizes known at compile or run time.
Range clampRange(Emitter &e, OpFoldResult size, OpFoldResult start, OpFoldResult end,
                 int64_t step) {
  auto fromEnd = [&](OpFoldResult at) -> OpFoldResult {
    if (std::optional<int64_t> known = getConstantIntValue(at))
      return *known < 0 ? e.add(at, size) : at;
    Value value = e.index(at);
    Value negative = e.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, value, e.index(0));
    return getAsOpFoldResult(
        e.createOrFold<arith::SelectOp>(negative, e.index(e.add(at, size)), value));
  };
  auto clamp = [&](OpFoldResult at, OpFoldResult low, OpFoldResult high) {
    return e.max(low, e.min(at, high));
  };
  OpFoldResult zero = e.size(0), last = e.sub(size, e.size(1));
  Range range;
  range.step = step;
  OpFoldResult distance;
  std::optional<int64_t> knownEnd = getConstantIntValue(end);
  constexpr int64_t kFar = int64_t(1) << 30;
  if (step > 0) {
    range.start = clamp(fromEnd(start), zero, size);
    OpFoldResult stop = knownEnd && *knownEnd >= kFar ? size : clamp(fromEnd(end), zero, size);
    distance = e.sub(stop, range.start);
  } else {
    range.start = clamp(fromEnd(start), zero, last);
    OpFoldResult stop =
        knownEnd && *knownEnd <= -kFar ? e.size(-1) : clamp(fromEnd(end), e.size(-1), last);
    distance = e.sub(range.start, stop);
  }
  int64_t stride = std::abs(step);
  range.length = e.max(zero, e.divide(e.add(distance, e.size(stride - 1)), e.size(stride)));
  // Backwards, an empty dimension has a first position, but nothing there.
  if (step < 0)
    range.length = e.min(range.length, size);
  return range;
}

/// Reads offsets + i * strides.
Tensor strided(Emitter &e, Tensor x, Scalars offsets, Scalars sizes, Scalars strides) {
  Value source = e.value(x);
  return e.generate(sizes, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from;
    for (auto [dim, index] : llvm::enumerate(at))
      from.push_back(b.add(b.mul(index, b.index(strides[dim])), b.index(offsets[dim])));
    return b.read(source, from);
  });
}

/// Slice when it is the data that tells axes, steps or how many there are. The
/// rules of clampRange, for a step whose sign is not known.
LogicalResult sliceAtRunTime(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  std::optional<Tensor> axes = node.has(3) ? std::optional(node.in(3)) : std::nullopt;
  OpFoldResult count = node.in(1).shape[0];
  SmallVector<Value> sizes;
  for (OpFoldResult size : x.shape)
    sizes.push_back(e.index(size));
  auto spread = [&](unsigned input, ArrayRef<Value> defaults) {
    if (!node.has(input))
      return SmallVector<Value>(defaults);
    Value list = e.value(node.in(input));
    return spreadOverDims(e, count, axes, defaults,
                          [&](Emitter &in, Value at) { return readList(in, list, at); });
  };
  Value zero = e.index(0), one = e.index(1), before = e.index(-1);
  SmallVector<Value> starts = spread(1, SmallVector<Value>(x.rank(), zero)),
                     ends = spread(2, sizes), steps = spread(4, SmallVector<Value>(x.rank(), one));
  Scalars lengths;
  for (auto [start, end, step, size] : llvm::zip_equal(starts, ends, steps, sizes)) {
    e.check(e.negation(e.same(step, zero)), "a step is 0");
    Value isForward = e.less(zero, step), last = e.sub(size, one);
    auto fromEnd = [&, size = size](Value at) {
      return e.select(e.less(at, zero), e.add(at, size), at);
    };
    start = e.max(zero, e.min(fromEnd(start), e.select(isForward, size, last)));
    end = e.max(e.select(isForward, zero, before),
                e.min(fromEnd(end), e.select(isForward, size, last)));
    Value distance = e.select(isForward, e.sub(end, start), e.sub(start, end));
    Value stride = e.select(isForward, step, e.sub(zero, step));
    Value length = e.add(e.quotient(e.sub(distance, one), stride), one);
    length = e.select(e.less(zero, distance), length, zero);
    lengths.push_back(getAsOpFoldResult(e.min(length, size)));
  }
  return node.set(0, strided(e, x, getAsOpFoldResult(starts), lengths, getAsOpFoldResult(steps)));
}

/// What one Slice takes of each dimension that it names.
struct SliceSpec {
  Scalars starts, ends;
  SmallVector<int64_t> axes, steps;
};

/// Reads lists whose length is known, and axes and steps that are.
FailureOr<SliceSpec> sliceSpec(Node &node) {
  SliceSpec spec;
  auto fixed = [&](StringRef name) {
    Scalars result;
    for (int64_t value : node.intsAttr(name).value_or(SmallVector<int64_t>{}))
      result.push_back(node.emitter.size(value));
    return result;
  };
  if (node.numInputs() == 1) {
    spec.starts = fixed("starts");
    spec.ends = fixed("ends");
  } else {
    FailureOr<Scalars> first = node.list(1), last = node.list(2);
    if (failed(first) || failed(last))
      return failure();
    spec.starts = *first;
    spec.ends = *last;
  }
  int64_t count = spec.starts.size();
  spec.axes = node.knownAxes(3).value_or(llvm::to_vector(llvm::seq<int64_t>(0, count)));
  spec.steps = node.knownInts(4).value_or(SmallVector<int64_t>(count, 1));
  if (int64_t(spec.ends.size()) != count || int64_t(spec.axes.size()) != count ||
      int64_t(spec.steps.size()) != count)
    return node.refuse("it has ") << count << " starts, but " << spec.ends.size() << " ends, "
                                  << spec.axes.size() << " axes and " << spec.steps.size()
                                  << " steps";
  if (llvm::is_contained(spec.steps, 0))
    return node.refuse("a step is 0");
  return spec;
}

bool isSliceKnown(Node &node) {
  auto hasLength = [&](unsigned input) {
    return !node.has(input) || node.in(input).rank() != 1 ||
           getConstantIntValue(node.in(input).shape[0]);
  };
  return hasLength(1) && hasLength(2) && (!node.has(3) || node.knownInts(3)) &&
         (!node.has(4) || node.knownInts(4));
}

LogicalResult lowerSlice(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  if (!isSliceKnown(node))
    return sliceAtRunTime(node);
  FailureOr<SliceSpec> spec = sliceSpec(node);
  if (failed(spec))
    return failure();
  FailureOr<SmallVector<int64_t>> dims = node.axes(spec->axes, x.rank());
  if (failed(dims))
    return failure();
  Scalars offsets(x.rank(), e.size(0)), sizes(x.shape), strides(x.rank(), e.size(1));
  bool isReversed = false;
  for (auto [i, dim] : llvm::enumerate(*dims)) {
    Range range = clampRange(e, x.shape[dim], spec->starts[i], spec->ends[i], spec->steps[i]);
    offsets[dim] = range.start;
    sizes[dim] = range.length;
    strides[dim] = e.size(range.step);
    isReversed |= range.step < 0;
  }
  std::optional<int64_t> first = x.rank() == 1 ? getConstantIntValue(offsets[0]) : std::nullopt;
  std::optional<int64_t> count = x.rank() == 1 ? getConstantIntValue(sizes[0]) : std::nullopt;
  if (x.elements && first && count) {
    Scalars taken;
    for (int64_t i = 0; i < *count; ++i)
      taken.push_back((*x.elements)[*first + i * *getConstantIntValue(strides[0])]);
    return node.set(0, e.fromElements(taken, x.elementType));
  }
  return node.set(0, isReversed ? strided(e, x, offsets, sizes, strides)
                                : slice(e, x, offsets, sizes, strides));
}

LogicalResult lowerTile(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<Scalars> repeats = node.list(1, x.rank());
  if (failed(repeats))
    return failure();
  Scalars shape;
  for (auto [size, count] : llvm::zip(x.shape, *repeats))
    shape.push_back(e.mul(size, count));
  Value source = e.value(x);
  return node.set(0, e.generate(shape, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from;
    for (auto [index, size] : llvm::zip(at, x.shape))
      from.push_back(b.createOrFold<arith::RemSIOp>(index, b.index(size)));
    return b.read(source, from);
  }));
}

const OperatorInfo kTable[] = {
    {"", "Concat", 1, kVariadic, lowerConcat, 1},
    {"", "Slice", 1, 5, lowerSlice, 1},
    {"", "Split", 1, 2, lowerSplit, 2},
    {"", "Tile", 2, 2, lowerTile, 6},
};

} // namespace

ArrayRef<OperatorInfo> slicingOperators() { return kTable; }

} // namespace moec::raise
