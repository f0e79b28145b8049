//===- Decompose.cpp - what norms, positions and caches compute -----------===//
#include "dialects/TensorBuilder.h"
#include "dialects/attn/AttnDialect.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace moec::attn {

static Type elementOf(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getElementType();
}

static SmallVector<unsigned> range(unsigned from, unsigned to) {
  return llvm::to_vector(llvm::seq<unsigned>(from, to));
}

//===----------------------------------------------------------------------===//
// norms
//===----------------------------------------------------------------------===//

namespace {

/// Means over the dimensions from `axis` on.
struct Means {
  TensorBuilder &b;
  Value x;
  unsigned axis;
  SmallVector<OpFoldResult> sizes;
  unsigned rank;
  Type type;

  Means(TensorBuilder &b, Value x, unsigned axis)
      : b(b), x(x), axis(axis), sizes(b.sizes(x)), rank(sizes.size()),
        type(accumulatorOf(elementOf(x))) {}

  /// The mean of term(x, operands...), where operands are means themselves.
  Value of(ArrayRef<Value> means, TensorBuilder::Body term) {
    SmallVector<TensorBuilder::Operand> operands{{x, range(0, rank)}};
    for (Value mean : means)
      operands.push_back({mean, range(0, axis)});
    TensorBuilder::Sizes outer = TensorBuilder::Sizes(sizes).take_front(axis);
    Value sums = b.reduce(sizes, operands, {b.filled(outer, type, 0.0), range(0, axis)},
                          [&](TensorBuilder &b, ValueRange v) {
                            SmallVector<Value> arguments(v.drop_back());
                            arguments[0] = b.convert(arguments[0], type);
                            return b.add(v.back(), term(b, arguments));
                          });
    Value count = b.index(1);
    for (OpFoldResult size : ArrayRef(sizes).drop_front(axis))
      count = b.mul(count, b.index(size));
    count = b.convert(count, type);
    return b.compute(outer, {{sums, range(0, axis)}}, type,
                     [&](TensorBuilder &b, ValueRange v) { return b.div(v[0], count); });
  }
};

Value inverseRoot(TensorBuilder &b, Value square, double epsilon) {
  Type type = square.getType();
  Value root = math::SqrtOp::create(b, b.add(square, b.constant(type, epsilon)));
  return b.div(b.constant(type, 1.0), root);
}

} // namespace

FailureOr<SmallVector<Value>> RmsNormOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  unsigned axis = getAxis();
  Means means(b, getX(), axis);
  Value square = means.of({}, [](TensorBuilder &b, ValueRange v) { return b.mul(v[0], v[0]); });
  Value result =
      b.compute(means.sizes,
                {{getX(), range(0, means.rank)},
                 {square, range(0, axis)},
                 {getScale(), range(axis, means.rank)}},
                elementOf(getResult()), [&](TensorBuilder &b, ValueRange v) {
                  Value inverse = inverseRoot(b, v[1], getEpsilon().convertToDouble());
                  Value x = b.mul(b.convert(v[0], means.type), inverse);
                  return b.convert(b.mul(x, b.convert(v[2], means.type)), elementOf(getResult()));
                });
  return SmallVector<Value>{b.castTo(result, getType())};
}

FailureOr<SmallVector<Value>> LayerNormOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  unsigned axis = getAxis();
  Means means(b, getX(), axis);
  Value mean = means.of({}, [](TensorBuilder &, ValueRange v) { return v[0]; });
  Value variance = means.of(mean, [](TensorBuilder &b, ValueRange v) {
    Value difference = b.sub(v[0], v[1]);
    return b.mul(difference, difference);
  });
  // Statistics keep the rank of x.
  SmallVector<OpFoldResult> kept(means.sizes);
  std::fill(kept.begin() + axis, kept.end(), builder.getIndexAttr(1));
  auto statistic = [&](Value value, TensorBuilder::Body body) {
    return b.compute(kept, {{value, range(0, axis)}}, means.type, body);
  };
  Value meanResult = statistic(mean, [](TensorBuilder &, ValueRange v) { return v[0]; });
  auto inverseOf = [&](TensorBuilder &b, Value variance) {
    return inverseRoot(b, variance, getEpsilon().convertToDouble());
  };
  Value inverseResult =
      statistic(variance, [&](TensorBuilder &b, ValueRange v) { return inverseOf(b, v[0]); });

  SmallVector<TensorBuilder::Operand> operands{{getX(), range(0, means.rank)},
                                               {mean, range(0, axis)},
                                               {variance, range(0, axis)},
                                               {getScale(), range(axis, means.rank)}};
  if (getBias())
    operands.push_back({getBias(), range(axis, means.rank)});
  Value result =
      b.compute(means.sizes, operands, elementOf(getResult()), [&](TensorBuilder &b, ValueRange v) {
        Value y = b.mul(b.sub(b.convert(v[0], means.type), v[1]), inverseOf(b, v[2]));
        y = b.mul(y, b.convert(v[3], means.type));
        if (getBias())
          y = b.add(y, b.convert(v[4], means.type));
        return b.convert(y, elementOf(getResult()));
      });
  return SmallVector<Value>{b.castTo(result, getResult().getType()),
                            b.castTo(meanResult, getMean().getType()),
                            b.castTo(inverseResult, getInverse().getType())};
}

//===----------------------------------------------------------------------===//
// rope
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> RopeOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  Type element = elementOf(getX()), type = accumulatorOf(element);
  unsigned cacheRank = cast<RankedTensorType>(getCos().getType()).getRank();
  Value half = b.index(b.size(getCos(), cacheRank - 1));
  Value rotated = b.add(half, half);
  Value zero = b.index(0), one = b.index(1), two = b.index(2);
  Value rows = b.index(b.size(getCos(), 0));
  SmallVector<TensorBuilder::Operand> operands{{getX(), {0, 1, 2, 3}}};
  if (getPositions())
    operands.push_back({getPositions(), {0, 1}});

  auto body = [&](TensorBuilder &b, ValueRange v) {
    Value d = b.loop(3);
    Value rotates = b.less(d, rotated);
    // The pair that d belongs to, d's place in it, and its partner; a
    // dimension that passes through reads those of dimension 0.
    Value r = b.select(rotates, d, zero);
    Value isFirst, pair, partner;
    if (getInterleaved()) {
      pair = arith::DivUIOp::create(b, r, two);
      isFirst = b.equal(arith::RemUIOp::create(b, r, two), zero);
      partner = b.select(isFirst, b.add(r, one), b.sub(r, one));
    } else {
      isFirst = b.less(r, half);
      pair = b.select(isFirst, r, b.sub(r, half));
      partner = b.select(isFirst, b.add(r, half), pair);
    }
    SmallVector<Value> at{b.loop(0), b.loop(1), pair};
    if (getPositions()) {
      Value position = b.convert(v[1], b.getIndexType());
      Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, position, rows);
      cf::AssertOp::create(b, inside, "a position lies outside the rotary cache");
      at = {position, pair};
    }
    Value x = b.convert(v[0], type);
    Value other = b.extract(getX(), {b.loop(0), b.loop(1), b.loop(2), partner});
    Value sine = b.mul(b.convert(other, type), b.convert(b.extract(getSin(), at), type));
    Value cosine = b.mul(x, b.convert(b.extract(getCos(), at), type));
    Value turned = b.select(isFirst, b.sub(cosine, sine), b.add(cosine, sine));
    return b.convert(b.select(rotates, turned, x), element);
  };
  Value result = b.compute(b.sizes(getX()), operands, element, body);
  return SmallVector<Value>{b.castTo(result, getType())};
}

//===----------------------------------------------------------------------===//
// cache_append
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> CacheAppendOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  Type element = elementOf(getDest());
  Value pastRows = b.index(b.size(getPast(), 2)), newRows = b.index(b.size(getUpdate(), 1));
  SmallVector<TensorBuilder::Operand> operands;
  if (getLengths())
    operands.push_back({getLengths(), {0}});
  // Element by element, so that a destination in the memory of `past` is
  // computed in place.
  auto body = [&](TensorBuilder &b, ValueRange v) {
    Value batch = b.loop(0), head = b.loop(1), t = b.loop(2), d = b.loop(3);
    Value length = getLengths() ? b.convert(v[0], b.getIndexType()) : pastRows;
    Value row = b.sub(t, length);
    Value isNew = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, row, newRows);
    Value old =
        b.extractOr(b.less(t, pastRows), getPast(), {batch, head, t, d}, b.constant(element, 0.0));
    return b.extractOr(isNew, getUpdate(), {batch, row, head, d}, old);
  };
  return SmallVector<Value>{b.computeInto(getDest(), operands, body)};
}

} // namespace moec::attn
