//===- Shape.cpp - operators that move elements without changing them ------===//
#include "passes/raise/Operators.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// Elements of a list input, or an error that names it.
FailureOr<Scalars> elements(Node &node, unsigned input) {
  FailureOr<Scalars> result = node.emitter.elementsOf(node.in(input));
  if (failed(result))
    return node.refuse("input ") << input << " must be a list of integers of known length";
  return result;
}

/// A list given as an input in newer versions and as an attribute in older.
FailureOr<std::optional<SmallVector<int64_t>>> listOf(Node &node, unsigned input,
                                                      StringRef attribute) {
  if (node.has(input)) {
    FailureOr<SmallVector<int64_t>> ints = node.constantInts(input);
    if (failed(ints))
      return failure();
    return std::optional(*ints);
  }
  return node.intsAttr(attribute);
}

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
  FailureOr<Scalars> wanted = elements(node, 1);
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

LogicalResult lowerSqueeze(Node &node) {
  Tensor x = node.in(0);
  FailureOr<std::optional<SmallVector<int64_t>>> given = listOf(node, 1, "axes");
  if (failed(given))
    return failure();
  SmallVector<int64_t> dims;
  if (*given) {
    FailureOr<SmallVector<int64_t>> counted = node.axes(**given, x.rank());
    if (failed(counted))
      return failure();
    dims = *counted;
  } else {
    for (int64_t dim = 0; dim < x.rank(); ++dim) {
      if (!getConstantIntValue(x.shape[dim]))
        return node.refuse("without axes, sizes must be known");
      if (isConstantIntValue(x.shape[dim], 1))
        dims.push_back(dim);
    }
  }
  return node.set(0, node.emitter.squeeze(x, dims));
}

LogicalResult lowerUnsqueeze(Node &node) {
  Tensor x = node.in(0);
  FailureOr<std::optional<SmallVector<int64_t>>> given = listOf(node, 1, "axes");
  if (failed(given))
    return failure();
  if (!*given)
    return node.refuse("axes are missing");
  FailureOr<SmallVector<int64_t>> dims = node.axes(**given, x.rank() + (*given)->size());
  if (failed(dims))
    return failure();
  return node.set(0, node.emitter.unsqueeze(x, *dims));
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
  FailureOr<Scalars> shape = elements(node, 1);
  if (failed(shape))
    return failure();
  return node.set(0, node.emitter.broadcastTo(node.in(0), *shape));
}

/// Writes `parts` one behind the other along `axis`.
/// Whether a tensor is known to have no elements. Slices of nothing may start
/// past the end, which those of the tensor dialect may not.
bool isEmpty(ArrayRef<OpFoldResult> shape) {
  return llvm::any_of(shape, [](OpFoldResult size) { return isConstantIntValue(size, 0); });
}

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
  Scalars lengths;
  if (node.has(1)) {
    FailureOr<Scalars> given = elements(node, 1);
    if (failed(given))
      return failure();
    lengths = *given;
  } else if (auto given = node.intsAttr("split")) {
    for (int64_t length : *given)
      lengths.push_back(e.size(length));
  } else {
    // Equal parts, the last one shorter.
    int64_t count = node.numOutputs();
    OpFoldResult part = e.divide(e.add(x.shape[*axis], e.size(count - 1)), e.size(count));
    OpFoldResult rest = x.shape[*axis];
    for (int64_t i = 0; i < count; ++i) {
      lengths.push_back(i + 1 == count ? rest : e.min(part, rest));
      rest = e.sub(rest, lengths.back());
    }
  }
  if (lengths.size() != node.numOutputs())
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
    range.start = clamp(fromEnd(start), e.size(-1), last);
    OpFoldResult stop =
        knownEnd && *knownEnd <= -kFar ? e.size(-1) : clamp(fromEnd(end), e.size(-1), last);
    distance = e.sub(range.start, stop);
  }
  int64_t stride = std::abs(step);
  range.length = e.max(zero, e.divide(e.add(distance, e.size(stride - 1)), e.size(stride)));
  return range;
}

LogicalResult lowerSlice(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  Scalars starts, ends;
  SmallVector<int64_t> axes, steps;
  auto fixed = [&](StringRef name) {
    Scalars result;
    for (int64_t value : node.intsAttr(name).value_or(SmallVector<int64_t>{}))
      result.push_back(e.size(value));
    return result;
  };
  if (node.numInputs() == 1) {
    starts = fixed("starts");
    ends = fixed("ends");
    axes = node.intsAttr("axes").value_or(llvm::to_vector(llvm::seq<int64_t>(0, starts.size())));
  } else {
    FailureOr<Scalars> first = elements(node, 1), last = elements(node, 2);
    if (failed(first) || failed(last))
      return failure();
    starts = *first;
    ends = *last;
    axes = llvm::to_vector(llvm::seq<int64_t>(0, starts.size()));
    if (node.has(3)) {
      FailureOr<SmallVector<int64_t>> given = node.constantInts(3);
      if (failed(given))
        return failure();
      axes = *given;
    }
  }
  steps.assign(starts.size(), 1);
  if (node.has(4)) {
    FailureOr<SmallVector<int64_t>> given = node.constantInts(4);
    if (failed(given))
      return failure();
    steps = *given;
  }
  FailureOr<SmallVector<int64_t>> dims = node.axes(axes, x.rank());
  if (failed(dims))
    return failure();
  Scalars offsets(x.rank(), e.size(0)), sizes(x.shape), strides(x.rank(), e.size(1));
  bool isReversed = false;
  for (auto [i, dim] : llvm::enumerate(*dims)) {
    Range range = clampRange(e, x.shape[dim], starts[i], ends[i], steps[i]);
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
  if (!isReversed)
    return node.set(0, slice(e, x, offsets, sizes, strides));
  Value source = e.value(x);
  return node.set(0, e.generate(sizes, x.elementType, [&](Emitter &b, ValueRange at) {
    SmallVector<Value> from;
    for (auto [dim, index] : llvm::enumerate(at)) {
      Value scaled = b.createOrFold<arith::MulIOp>(index, b.index(strides[dim]));
      from.push_back(b.createOrFold<arith::AddIOp>(scaled, b.index(offsets[dim])));
    }
    return b.read(source, from);
  }));
}

LogicalResult lowerTile(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<Scalars> repeats = elements(node, 1);
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

/// A tensor of a shape that an input lists, filled with one scalar.
LogicalResult lowerConstantOfShape(Node &node) {
  Emitter &e = node.emitter;
  FailureOr<Scalars> shape = elements(node, 0);
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

LogicalResult lowerRange(Node &node) {
  Emitter &e = node.emitter;
  Tensor start = node.in(0), limit = node.in(1), delta = node.in(2);
  Type elementType = start.elementType;
  if (!start.isFloat()) {
    FailureOr<Scalars> a = elements(node, 0), b = elements(node, 1), c = elements(node, 2);
    if (failed(a) || failed(b) || failed(c))
      return failure();
    std::optional<int64_t> step = getConstantIntValue(c->front());
    OpFoldResult count;
    if (step && *step > 0) {
      count = e.divide(e.add(e.sub(b->front(), a->front()), e.size(*step - 1)), e.size(*step));
    } else {
      Value distance = e.index(e.sub(b->front(), a->front()));
      count = getAsOpFoldResult(e.createOrFold<arith::CeilDivSIOp>(distance, e.index(c->front())));
    }
    count = e.max(e.size(0), count);
    Value first = e.index(a->front()), by = e.index(c->front());
    Type signless = signlessType(elementType);
    return node.set(0, e.generate({count}, elementType, [&](Emitter &b, ValueRange at) {
      Value value = b.createOrFold<arith::AddIOp>(first, b.createOrFold<arith::MulIOp>(at[0], by));
      return arith::IndexCastOp::create(b, signless, value).getResult();
    }));
  }
  auto scalar = [&](Tensor &tensor) {
    return e.createOrFold<tensor::ExtractOp>(e.value(tensor), ValueRange{});
  };
  Value first = scalar(start), by = scalar(delta);
  Value distance = arith::SubFOp::create(e, scalar(limit), first);
  Value steps = math::CeilOp::create(e, arith::DivFOp::create(e, distance, by));
  Value count = arith::IndexCastOp::create(e, e.getIndexType(),
                                           arith::FPToSIOp::create(e, e.getI64Type(), steps));
  count = arith::MaxSIOp::create(e, count, e.index(0));
  return node.set(0, e.generate({count}, elementType, [&](Emitter &b, ValueRange at) {
    Value i = arith::SIToFPOp::create(b, elementType,
                                      arith::IndexCastOp::create(b, b.getI64Type(), at[0]));
    return arith::AddFOp::create(b, first, arith::MulFOp::create(b, i, by)).getResult();
  }));
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

LogicalResult lowerPad(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  Scalars pads;
  if (node.has(1)) {
    FailureOr<Scalars> given = elements(node, 1);
    if (failed(given))
      return failure();
    pads = *given;
  } else {
    for (int64_t pad : node.intsAttr("pads").value_or(SmallVector<int64_t>{}))
      pads.push_back(e.size(pad));
  }
  SmallVector<int64_t> dims = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  if (node.has(3)) {
    FailureOr<SmallVector<int64_t>> given = node.constantInts(3);
    if (failed(given))
      return failure();
    FailureOr<SmallVector<int64_t>> counted = node.axes(*given, x.rank());
    if (failed(counted))
      return failure();
    dims = *counted;
  }
  if (pads.size() != 2 * dims.size())
    return node.refuse("it has ") << pads.size() << " pads for " << dims.size() << " dimensions";
  Scalars before(x.rank(), e.size(0)), shape(x.shape);
  for (auto [i, dim] : llvm::enumerate(dims)) {
    before[dim] = pads[i];
    shape[dim] = e.add(shape[dim], e.add(pads[i], pads[dims.size() + i]));
  }
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
      Value i = b.createOrFold<arith::SubIOp>(index, b.index(before[dim]));
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
    {"", "Concat", 1, kVariadic, lowerConcat},
    {"", "ConstantOfShape", 1, 1, lowerConstantOfShape},
    {"", "DepthToSpace", 1, 1, lowerDepthToSpace},
    {"", "Expand", 2, 2, lowerExpand},
    {"", "EyeLike", 1, 1, lowerEyeLike},
    {"", "Flatten", 1, 1, lowerFlatten},
    {"", "Pad", 1, 4, lowerPad},
    {"", "Range", 3, 3, lowerRange},
    {"", "Reshape", 2, 2, lowerReshape},
    {"", "Shape", 1, 1, lowerShape},
    {"", "Size", 1, 1, lowerSize},
    {"", "Slice", 1, 5, lowerSlice},
    {"", "SpaceToDepth", 1, 1, lowerSpaceToDepth},
    {"", "Split", 1, 2, lowerSplit},
    {"", "Squeeze", 1, 2, lowerSqueeze},
    {"", "Tile", 2, 2, lowerTile},
    {"", "Transpose", 1, 1, lowerTranspose},
    {"", "Unsqueeze", 1, 2, lowerUnsqueeze},
};

} // namespace

ArrayRef<OperatorInfo> shapeOperators() { return kTable; }

} // namespace moec::raise
