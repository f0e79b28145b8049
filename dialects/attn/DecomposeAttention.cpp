//===- DecomposeAttention.cpp - what attention computes -------------------===//
#include "dialects/TensorBuilder.h"
#include "dialects/attn/AttnDialect.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec::attn {
namespace {

Type elementOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Emits the scores of an attention or scores op. Loops are named by the
/// letters of the description: b, n, i and, for keys, j.
template <typename Op> class Scores {
public:
  Scores(TensorBuilder &b, Op op)
      : op(op), type(accumulatorOf(elementOf(op.getQ()))), batch(b.size(op.getQ(), 0)),
        queries(b.size(op.getQ(), 1)), heads(b.size(op.getQ(), 2)), depth(b.size(op.getQ(), 3)),
        keys(b.size(op.getK(), 2)) {
    // Query heads per key head.
    group = arith::DivUIOp::create(b, b.index(heads), b.index(b.size(op.getK(), 1)));
  }

  /// x [B,N,S,width] of the keys from `start` on, as far as `stage` (not
  /// probabilities).
  Value scores(TensorBuilder &b, Value start, OpFoldResult width, Stage stage) {
    Value zero = b.filled({batch, heads, queries, width}, type, 0.0);
    // Loops b, n, i, d, j.
    Value dots =
        b.reduce({batch, heads, queries, depth, width}, {{op.getQ(), {0, 2, 1, 3}}},
                 {zero, {0, 1, 2, 4}}, [&](TensorBuilder &b, ValueRange v) {
                   Value at = key(b, start, b.loop(4));
                   Value k = b.extract(op.getK(), {b.loop(0), kvHead(b, b.loop(1)), at, b.loop(3)});
                   return b.add(v[1], b.mul(b.convert(v[0], type), b.convert(k, type)));
                 });
    return b.compute({batch, heads, queries, width}, {{dots, {0, 1, 2, 3}}}, type,
                     [&](TensorBuilder &b, ValueRange v) {
                       Value x = b.mul(v[0], b.constant(type, op.getScale().convertToDouble()));
                       x = stage == Stage::raw ? x : softcap(b, x);
                       return stage == Stage::masked ? mask(b, x, b.add(start, b.loop(3))) : x;
                     });
  }

protected:
  /// A fold of x over its keys.
  Value rows(TensorBuilder &b, Value x, OpFoldResult width, double init, TensorBuilder::Body body) {
    return b.reduce({batch, heads, queries, width}, {{x, {0, 1, 2, 3}}},
                    {b.filled({batch, heads, queries}, type, init), {0, 1, 2}}, body);
  }
  Value maximum(TensorBuilder &b, Value x, OpFoldResult width) {
    return rows(b, x, width, -kInfinity,
                [](TensorBuilder &b, ValueRange v) { return b.max(v[1], v[0]); });
  }
  Value sum(TensorBuilder &b, Value x, OpFoldResult width) {
    return rows(b, x, width, 0, [](TensorBuilder &b, ValueRange v) { return b.add(v[1], v[0]); });
  }
  /// exp(x - m), 0 where masked.
  Value exponentials(TensorBuilder &b, Value x, Value m, OpFoldResult width) {
    return b.compute({batch, heads, queries, width}, {{x, {0, 1, 2, 3}}, {m, {0, 1, 2}}}, type,
                     [&](TensorBuilder &b, ValueRange v) {
                       return b.select(isMasked(b, v[0]), b.constant(type, 0.0),
                                       b.exp(b.sub(v[0], v[1])));
                     });
  }
  /// x / l, 0 where l is.
  Value quotient(TensorBuilder &b, Value x, Value l) {
    Value zero = b.constant(type, 0.0);
    Value y = b.select(b.equal(l, zero), zero, b.div(x, l));
    return b.convert(y, elementOf(op.getQ()));
  }

  Value isMasked(TensorBuilder &b, Value score) {
    return b.equal(score, b.constant(type, -kInfinity));
  }

  Value kvHead(TensorBuilder &b, Value head) { return arith::DivUIOp::create(b, head, group); }

  /// A key that exists: scores of those beyond the last are masked.
  Value key(TensorBuilder &b, Value start, Value j) {
    return b.min(b.add(start, j), b.sub(b.index(keys), b.index(1)));
  }

  Value softcap(TensorBuilder &b, Value x) {
    double cap = op.getSoftcap().convertToDouble();
    if (cap == 0)
      return x;
    Value limit = b.constant(type, cap);
    return b.mul(limit, math::TanhOp::create(b, b.div(x, limit)).getResult());
  }

  /// The score with its bias, or -inf if the query must not see key `at`.
  /// Inside loops b, n, i.
  Value mask(TensorBuilder &b, Value x, Value at) {
    Value masked = b.constant(type, -kInfinity);
    Value row = b.loop(0);
    if (op.getBias()) {
      Value bias = ofScore(b, op.getBias(), at, b.constant(elementOf(op.getBias()), -kInfinity));
      x = b.add(x, b.convert(bias, type));
    }
    Value visible = b.less(at, b.index(keys));
    auto require = [&](Value condition) { visible = b.both(visible, condition); };
    auto perRow = [&](Value tensor) { return b.convert(b.extract(tensor, row), b.getIndexType()); };
    if (op.getMask())
      require(ofScore(b, op.getMask(), at, b.constant(b.getI1Type(), 0)));
    if (op.getKvLengths())
      require(b.less(at, perRow(op.getKvLengths())));
    Value position = b.loop(2);
    if (op.getQOffsets())
      position = b.add(position, perRow(op.getQOffsets()));
    if (op.getRight() >= 0)
      require(b.less(at, b.add(position, b.index(op.getRight() + 1))));
    if (op.getLeft() >= 0)
      require(b.less(position, b.add(at, b.index(op.getLeft() + 1))));
    return b.select(visible, x, masked);
  }

  /// The element of a bias or mask; beyond its last dimension, `beyond`.
  Value ofScore(TensorBuilder &b, Value tensor, Value at, Value beyond) {
    SmallVector<Value> indices;
    for (unsigned dim : {0u, 1u, 2u}) {
      Value isOne = b.equal(b.index(b.size(tensor, dim)), b.index(1));
      indices.push_back(b.select(isOne, b.index(0), b.loop(dim)));
    }
    indices.push_back(at);
    return b.extractOr(b.less(at, b.index(b.size(tensor, 3))), tensor, indices, beyond);
  }

  Op op;
  Type type;
  OpFoldResult batch, queries, heads, depth, keys;
  Value group;
};

/// Emits scores as a tensor.
class ScoreTensor : Scores<ScoresOp> {
public:
  using Scores::Scores;

  Value emit(TensorBuilder &b) {
    Type element = elementOf(op.getQ());
    bool isSoftmax = op.getStage() == Stage::probabilities;
    Value x = scores(b, b.index(0), keys, isSoftmax ? Stage::masked : op.getStage());
    SmallVector<OpFoldResult> sizes{batch, heads, queries, keys};
    SmallVector<unsigned> all{0, 1, 2, 3}, row{0, 1, 2};
    if (!isSoftmax)
      return b.compute(sizes, {{x, all}}, element,
                       [&](TensorBuilder &b, ValueRange v) { return b.convert(v[0], element); });
    Value p = exponentials(b, x, maximum(b, x, keys), keys);
    return b.compute(sizes, {{p, all}, {sum(b, p, keys), row}}, element,
                     [&](TensorBuilder &b, ValueRange v) { return quotient(b, v[0], v[1]); });
  }
};

/// What a set of keys contributes to each query: m and l are [B,N,S], o is
/// [B,S,N,E].
struct Partial {
  Value m, l, o;
};

/// Emits attention chunk by chunk.
class Attention : Scores<AttentionOp> {
public:
  Attention(TensorBuilder &b, AttentionOp op) : Scores(b, op), valueDepth(b.size(op.getV(), 3)) {
    std::optional<int64_t> known = getConstantIntValue(keys);
    int64_t chunk = op.getChunk();
    width = b.getIndexAttr(known ? std::min(chunk, std::max<int64_t>(*known, 1)) : chunk);
  }

  Value emit(TensorBuilder &b) {
    SmallVector<OpFoldResult> rows{batch, heads, queries},
        outputs{batch, queries, heads, valueDepth};
    SmallVector<Value> none{b.filled(rows, type, -kInfinity), b.filled(rows, type, 0.0),
                            b.filled(outputs, type, 0.0)};
    // Chunks behind the last key that a row may see change nothing: how many there
    // are depends on sizes alone.
    auto chunks =
        scf::ForOp::create(b, b.index(0), b.index(keys), b.index(op.getChunk()), none,
                           [&](OpBuilder &nested, Location loc, Value start, ValueRange state) {
                             TensorBuilder b(nested, loc);
                             Partial merged =
                                 merge(b, {state[0], state[1], state[2]}, ofChunk(b, start));
                             scf::YieldOp::create(b, ValueRange{merged.m, merged.l, merged.o});
                           });
    Partial all{chunks.getResult(0), chunks.getResult(1), chunks.getResult(2)};
    if (op.getSink())
      all = merge(b, all, ofSink(b));
    return b.compute(outputs, {{all.o, {0, 1, 2, 3}}, {all.l, {0, 2, 1}}}, elementOf(op.getQ()),
                     [&](TensorBuilder &b, ValueRange v) { return quotient(b, v[0], v[1]); });
  }

private:
  Partial ofChunk(TensorBuilder &b, Value start) {
    Value x = scores(b, start, width, Stage::masked);
    Partial chunk;
    chunk.m = maximum(b, x, width);
    Value p = exponentials(b, x, chunk.m, width);
    chunk.l = sum(b, p, width);
    SmallVector<OpFoldResult> outputs{batch, queries, heads, valueDepth};
    // Loops b, i, n, e, j; e, along which values are contiguous, comes first.
    chunk.o =
        b.reduce({batch, queries, heads, valueDepth, width}, {{x, {0, 2, 1, 4}}, {p, {0, 2, 1, 4}}},
                 {b.filled(outputs, type, 0.0), {0, 1, 2, 3}}, [&](TensorBuilder &b, ValueRange v) {
                   Value at = key(b, start, b.loop(4));
                   Value value =
                       b.extract(op.getV(), {b.loop(0), kvHead(b, b.loop(2)), at, b.loop(3)});
                   Value sum = b.add(v[2], b.mul(v[1], b.convert(value, type)));
                   return b.select(isMasked(b, v[0]), v[2], sum);
                 });
    return chunk;
  }

  Partial ofSink(TensorBuilder &b) {
    SmallVector<OpFoldResult> rows{batch, heads, queries},
        outputs{batch, queries, heads, valueDepth};
    Value m = b.compute(rows, {{op.getSink(), {1}}}, type,
                        [&](TensorBuilder &b, ValueRange v) { return b.convert(v[0], type); });
    return {m, b.filled(rows, type, 1.0), b.filled(outputs, type, 0.0)};
  }

  /// `before` is updated in place, m last because the others read it.
  Partial merge(TensorBuilder &b, Partial before, Partial chunk) {
    auto mergeOne = [&](TensorBuilder &b, ValueRange v) {
      Value ma = v[0], mb = v[1], xb = v[2], xa = v[3];
      Value m = b.max(ma, mb);
      Value sum = b.add(b.mul(xa, b.exp(b.sub(ma, m))), b.mul(xb, b.exp(b.sub(mb, m))));
      return b.select(isMasked(b, mb), xa, b.select(isMasked(b, ma), xb, sum));
    };
    SmallVector<unsigned> row{0, 1, 2}, rowOfOutput{0, 2, 1}, output{0, 1, 2, 3};
    Partial merged;
    merged.l = b.update(before.l, {{before.m, row}, {chunk.m, row}, {chunk.l, row}}, mergeOne);
    merged.o = b.update(
        before.o, {{before.m, rowOfOutput}, {chunk.m, rowOfOutput}, {chunk.o, output}}, mergeOne);
    merged.m = b.update(before.m, {{chunk.m, row}},
                        [](TensorBuilder &b, ValueRange v) { return b.max(v[1], v[0]); });
    return merged;
  }

  OpFoldResult valueDepth, width;
};

} // namespace

FailureOr<SmallVector<Value>> AttentionOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  return SmallVector<Value>{b.castTo(Attention(b, *this).emit(b), getType())};
}

FailureOr<SmallVector<Value>> ScoresOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  return SmallVector<Value>{b.castTo(ScoreTensor(b, *this).emit(b), getType())};
}

} // namespace moec::attn
