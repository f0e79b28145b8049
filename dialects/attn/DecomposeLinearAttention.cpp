//===- DecomposeLinearAttention.cpp - what linear attention computes ------===//
#include "dialects/TensorBuilder.h"
#include "dialects/attn/AttnDialect.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec::attn {
namespace {

Type elementOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

/// Emits one token after the other. Loops are named by the letters of the
/// description: b, h, m, d, e.
class LinearAttention {
public:
  LinearAttention(TensorBuilder &b, LinearAttentionOp op)
      : op(op), type(accumulatorOf(elementOf(op.getQ()))), batch(b.size(op.getQ(), 0)),
        tokens(b.size(op.getQ(), 1)), states(b.size(op.getV(), 2)), depth(b.size(op.getQ(), 3)),
        width(b.size(op.getV(), 3)) {
    Value queryHeads = b.index(b.size(op.getQ(), 2)), stateHeads = b.index(states);
    Value most = arith::MaxUIOp::create(b, queryHeads, stateHeads);
    heads = getAsOpFoldResult(most);
    headsPerQuery = arith::DivUIOp::create(b, most, queryHeads);
    headsPerState = arith::DivUIOp::create(b, most, stateHeads);
    statesPerKey = arith::DivUIOp::create(b, stateHeads, b.index(b.size(op.getK(), 2)));
  }

  /// The result and the state behind the last token.
  SmallVector<Value> emit(TensorBuilder &b) {
    Value result = tensor::EmptyOp::create(b, ArrayRef<OpFoldResult>{batch, tokens, heads, width},
                                           elementOf(op.getResult()));
    auto loop = scf::ForOp::create(
        b, b.index(0), b.index(tokens), b.index(1), ValueRange{result, op.getState()},
        [&](OpBuilder &nested, Location loc, Value t, ValueRange carried) {
          TensorBuilder b(nested, loc);
          Value state = updated(b, carried[1], t);
          Value result = insert(b, read(b, state, t), carried[0], t);
          scf::YieldOp::create(b, ValueRange{result, state});
        });
    return SmallVector<Value>(loop.getResults());
  }

private:
  /// The state behind token `t`.
  Value updated(TensorBuilder &b, Value state, Value t) {
    Value decay = op.getDecay() ? decays(b, t) : Value();
    Value update = updates(b, state, decay, t);
    SmallVector<TensorBuilder::Operand> operands{{update, {0, 1, 3}}};
    return b.update(state, operands, [&](TensorBuilder &b, ValueRange v) {
      Value product = b.mul(key(b, t, b.loop(1), b.loop(2)), v[0]);
      Value sum = b.add(decayed(b, v[1], decay), product);
      return b.convert(sum, elementOf(op.getState()));
    });
  }

  /// exp(g) [B,M,D|1].
  Value decays(TensorBuilder &b, Value t) {
    SmallVector<OpFoldResult> sizes{batch, states, b.size(op.getDecay(), 3)};
    return b.compute(sizes, {}, type, [&](TensorBuilder &b, ValueRange) {
      Value g = b.extract(op.getDecay(), {b.loop(0), t, b.loop(1), b.loop(2)});
      return b.exp(b.convert(g, type));
    });
  }

  /// Z: the element of a state inside loops b, m, d, times its decay.
  Value decayed(TensorBuilder &b, Value element, Value decay) {
    element = b.convert(element, type);
    if (!decay)
      return element;
    Value factor = b.extract(decay, {b.loop(0), b.loop(1), broadcast(b, decay, 2, b.loop(2))});
    return b.mul(factor, element);
  }

  /// u [B,M,E].
  Value updates(TensorBuilder &b, Value state, Value decay, Value t) {
    SmallVector<OpFoldResult> sizes{batch, states, width};
    auto value = [&](TensorBuilder &b) {
      return b.convert(b.extract(op.getV(), {b.loop(0), t, b.loop(1), b.loop(2)}), type);
    };
    if (!op.getBeta())
      return b.compute(sizes, {}, type, [&](TensorBuilder &b, ValueRange) { return value(b); });
    Value retrieved =
        b.reduce({batch, states, depth, width}, {{state, {0, 1, 2, 3}}},
                 {b.filled(sizes, type, 0.0), {0, 1, 3}}, [&](TensorBuilder &b, ValueRange v) {
                   Value k = key(b, t, b.loop(1), b.loop(2));
                   return b.add(v[1], b.mul(k, decayed(b, v[0], decay)));
                 });
    return b.update(retrieved, {}, [&](TensorBuilder &b, ValueRange v) {
      Value beta =
          b.extract(op.getBeta(), {b.loop(0), t, broadcast(b, op.getBeta(), 2, b.loop(1))});
      return b.mul(b.convert(beta, type), b.sub(value(b), v[0]));
    });
  }

  /// What token `t` reads of the state [B,H,E].
  Value read(TensorBuilder &b, Value state, Value t) {
    SmallVector<OpFoldResult> sizes{batch, heads, width};
    Value sums =
        b.reduce({batch, heads, depth, width}, {}, {b.filled(sizes, type, 0.0), {0, 1, 3}},
                 [&](TensorBuilder &b, ValueRange v) {
                   Value m = arith::DivUIOp::create(b, b.loop(1), headsPerState);
                   Value n = arith::DivUIOp::create(b, b.loop(1), headsPerQuery);
                   Value q = b.convert(b.extract(op.getQ(), {b.loop(0), t, n, b.loop(2)}), type);
                   Value s =
                       b.convert(b.extract(state, {b.loop(0), m, b.loop(2), b.loop(3)}), type);
                   return b.add(v[0], b.mul(q, s));
                 });
    return b.compute(sizes, {{sums, {0, 1, 2}}}, elementOf(op.getResult()),
                     [&](TensorBuilder &b, ValueRange v) {
                       Value scale = b.constant(type, op.getScale().convertToDouble());
                       return b.convert(b.mul(scale, v[0]), elementOf(op.getResult()));
                     });
  }

  Value insert(TensorBuilder &b, Value ofToken, Value result, Value t) {
    OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
    SmallVector<OpFoldResult> offsets{zero, t, zero, zero}, sizes{batch, one, heads, width};
    SmallVector<OpFoldResult> strides(4, one);
    return tensor::InsertSliceOp::create(b, ofToken, result, offsets, sizes, strides);
  }

  /// Element d of the key of state m.
  Value key(TensorBuilder &b, Value t, Value m, Value d) {
    Value head = arith::DivUIOp::create(b, m, statesPerKey);
    return b.convert(b.extract(op.getK(), {b.loop(0), t, head, d}), type);
  }

  /// The index into a dimension that may be 1 for all.
  Value broadcast(TensorBuilder &b, Value tensor, int64_t dim, Value at) {
    Value isOne = b.equal(b.index(b.size(tensor, dim)), b.index(1));
    return b.select(isOne, b.index(0), at);
  }

  LinearAttentionOp op;
  Type type;
  OpFoldResult batch, tokens, heads, states, depth, width;
  Value headsPerQuery, headsPerState, statesPerKey;
};

} // namespace

FailureOr<SmallVector<Value>> LinearAttentionOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  SmallVector<Value> results = LinearAttention(b, *this).emit(b);
  return SmallVector<Value>{b.castTo(results[0], getResult().getType()),
                            b.castTo(results[1], getPresent().getType())};
}

} // namespace moec::attn
