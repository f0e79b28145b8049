//===- DecomposeRoute.cpp - what a router computes ------------------------===//
#include "dialects/TensorBuilder.h"
#include "dialects/moe/Activation.h"
#include "dialects/moe/MoeDialect.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace moec::moe {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Emits moe.route. Selection needs no sort: the rank of an expert is the
/// number of experts that come before it, so that equal scores, -inf and NaN
/// still give each expert a rank of its own.
class Router {
public:
  Router(TensorBuilder &b, RouteOp op)
      : b(b), op(op), router(op.getRouter()), f32(b.getF32Type()), i32(b.getI32Type()),
        tokens(b.size(op.getLogits(), 0)), experts(b.size(op.getLogits(), 1)),
        topK(b.getIndexAttr(router.getTopK())) {}

  std::pair<Value, Value> emit() {
    Value logits = widened(op.getLogits());
    bool isMixer = router.getScore() == Score::sparse_mixer;
    Value score = isMixer ? logits : scores(logits);
    Value rank = ranks(isMixer ? logits : choices(score), experts, 1);
    Value ids = idsOf(rank);
    if (isMixer)
      return {ids, scaled(mixerWeights(logits, rank, ids))};
    Value source = op.getValues() ? widened(op.getValues()) : score;
    Value picked =
        b.compute({tokens, topK}, {{ids, {0, 1}}}, f32, [&](TensorBuilder &b, ValueRange v) {
          return b.extract(source, {b.loop(0), b.convert(v[0], b.getIndexType())});
        });
    return {ids, scaled(normalized(picked))};
  }

private:
  Value widened(Value tensor) {
    if (cast<RankedTensorType>(tensor.getType()).getElementType() == f32)
      return tensor;
    return b.compute(b.sizes(tensor), {{tensor, {0, 1}}}, f32,
                     [&](TensorBuilder &b, ValueRange v) { return b.convert(v[0], f32); });
  }

  /// Folds rows of a [T,n] tensor.
  Value rowSum(Value x, OpFoldResult n) {
    return b.reduce({tokens, n}, {{x, {0, 1}}}, {b.filled(tokens, f32, 0), {0}},
                    [](TensorBuilder &b, ValueRange v) { return b.add(v[1], v[0]); });
  }
  Value rowMax(Value x, OpFoldResult n) {
    return b.reduce({tokens, n}, {{x, {0, 1}}}, {b.filled(tokens, f32, -kInfinity), {0}},
                    [](TensorBuilder &b, ValueRange v) { return b.max(v[1], v[0]); });
  }

  Value softmax(Value x, OpFoldResult n) {
    Value p = b.compute({tokens, n}, {{x, {0, 1}}, {rowMax(x, n), {0}}}, f32,
                        [](TensorBuilder &b, ValueRange v) { return b.exp(b.sub(v[0], v[1])); });
    return b.compute({tokens, n}, {{p, {0, 1}}, {rowSum(p, n), {0}}}, f32,
                     [](TensorBuilder &b, ValueRange v) { return b.div(v[0], v[1]); });
  }

  Value sigmoid(Value x, OpFoldResult n) {
    return b.compute({tokens, n}, {{x, {0, 1}}}, f32,
                     [](TensorBuilder &b, ValueRange v) { return moe::sigmoid(b, v[0]); });
  }

  Value scores(Value logits) {
    switch (router.getScore()) {
    case Score::softmax:
      return softmax(logits, experts);
    case Score::sigmoid:
      return sigmoid(logits, experts);
    default:
      return logits;
    }
  }

  /// What is ranked: biased, and masked outside the best groups.
  Value choices(Value score) {
    Value choice = score;
    if (op.getSelectionBias())
      choice = b.compute(
          {tokens, experts}, {{score, {0, 1}}, {op.getSelectionBias(), {1}}}, f32,
          [&](TensorBuilder &b, ValueRange v) { return b.add(v[0], b.convert(v[1], f32)); });
    if (router.getGroups() == 1)
      return choice;
    OpFoldResult groups = b.getIndexAttr(router.getGroups());
    int64_t members = *getConstantIntValue(experts) / router.getGroups();
    Value rank = ranks(groupScores(choice, groups, members), groups, 1);
    double masked = router.getMasked() == Masked::zero ? 0 : -kInfinity;
    return b.compute(
        {tokens, experts}, {{choice, {0, 1}}}, f32, [&](TensorBuilder &b, ValueRange v) {
          Value group = arith::DivUIOp::create(b, b.loop(1), b.index(members));
          Value kept =
              b.less(b.extract(rank, {b.loop(0), group}), b.constant(i32, router.getKeptGroups()));
          return b.select(kept, v[0], b.constant(f32, masked));
        });
  }

  Value groupScores(Value choice, OpFoldResult groups, int64_t members) {
    bool isSum = router.getGroupScore() == GroupScore::top2_sum;
    Value rank = isSum ? ranks(choice, experts, members) : Value();
    Value init = b.filled({tokens, groups}, f32, isSum ? 0 : -kInfinity);
    return b.reduce({tokens, groups, b.getIndexAttr(members)}, {}, {init, {0, 1}},
                    [&](TensorBuilder &b, ValueRange v) {
                      Value expert = b.add(b.mul(b.loop(1), b.index(members)), b.loop(2));
                      Value x = b.extract(choice, {b.loop(0), expert});
                      if (!isSum)
                        return b.max(v[0], x);
                      Value isBest =
                          b.less(b.extract(rank, {b.loop(0), expert}), b.constant(i32, 2));
                      return b.select(isBest, b.add(v[0], x), v[0]);
                    });
  }

  /// The rank of each of n columns among its `members` neighbours (1: among
  /// all).
  Value ranks(Value x, OpFoldResult n, int64_t members) {
    bool isAll = members == 1;
    OpFoldResult others = isAll ? n : OpFoldResult(b.getIndexAttr(members));
    auto key = [&](TensorBuilder &b, Value value) {
      Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
      return b.select(isNan, b.constant(f32, -kInfinity), value);
    };
    return b.reduce({tokens, n, others}, {{x, {0, 1}}}, {b.filled({tokens, n}, i32, 0), {0, 1}},
                    [&](TensorBuilder &b, ValueRange v) {
                      Value column = b.loop(1), other = b.loop(2);
                      if (!isAll) {
                        Value group = arith::DivUIOp::create(b, column, b.index(members));
                        other = b.add(b.mul(group, b.index(members)), other);
                      }
                      Value mine = key(b, v[0]), theirs = key(b, b.extract(x, {b.loop(0), other}));
                      Value wins = router.getTies() == Ties::lower ? b.less(other, column)
                                                                   : b.less(column, other);
                      Value before =
                          b.either(b.less(mine, theirs), b.both(b.equal(mine, theirs), wins));
                      return b.add(v[1], arith::ExtUIOp::create(b, i32, before));
                    });
  }

  /// ids[t,k]: the expert of rank k.
  Value idsOf(Value rank) {
    return b.reduce({tokens, topK, experts}, {{rank, {0, 2}}},
                    {b.filled({tokens, topK}, i32, 0), {0, 1}},
                    [&](TensorBuilder &b, ValueRange v) {
                      Value isIt = b.equal(b.convert(b.loop(1), i32), v[0]);
                      return b.select(isIt, b.convert(b.loop(2), i32), v[1]);
                    });
  }

  Value normalized(Value picked) {
    switch (router.getNormalize()) {
    case Normalize::keep:
      return picked;
    case Normalize::softmax:
      return softmax(picked, topK);
    case Normalize::sigmoid:
      return sigmoid(picked, topK);
    case Normalize::sum:
      return b.compute({tokens, topK}, {{picked, {0, 1}}, {rowSum(picked, topK), {0}}}, f32,
                       [&](TensorBuilder &b, ValueRange v) {
                         Value epsilon = b.constant(f32, router.getEpsilon().convertToDouble());
                         return b.div(v[0], b.add(v[1], epsilon));
                       });
    }
    llvm_unreachable("a normalisation without a case");
  }

  Value scaled(Value weights) {
    double scale = router.getScale().convertToDouble();
    double least = router.getMinWeight().convertToDouble();
    if (scale == 1 && least == -kInfinity)
      return weights;
    return b.compute({tokens, topK}, {{weights, {0, 1}}}, f32, [&](TensorBuilder &b, ValueRange v) {
      Value weight = b.mul(v[0], b.constant(f32, scale));
      if (least == -kInfinity)
        return weight;
      return b.select(b.less(b.constant(f32, least), weight), weight, b.constant(f32, 0));
    });
  }

  Value mixerWeights(Value logits, Value rank, Value ids) {
    Value sums =
        b.reduce({tokens, topK, experts}, {{ids, {0, 1}}, {logits, {0, 2}}, {rank, {0, 2}}},
                 {b.filled({tokens, topK}, f32, 0), {0, 1}}, [&](TensorBuilder &b, ValueRange v) {
                   Value top = b.extract(logits, {b.loop(0), b.convert(v[0], b.getIndexType())});
                   Value gap = b.sub(top, v[1]), size = b.max(math::AbsFOp::create(b, v[1]), top);
                   // 0 / 0, the best of all zeros, stays.
                   Value isFar = b.less(b.constant(f32, 2 * router.getJitter().convertToDouble()),
                                        b.div(gap, size));
                   Value isGone = b.either(isFar, b.less(v[2], b.convert(b.loop(1), i32)));
                   return b.select(isGone, v[3], b.add(v[3], b.exp(b.sub(v[1], top))));
                 });
    return b.compute({tokens, topK}, {{sums, {0, 1}}}, f32, [&](TensorBuilder &b, ValueRange v) {
      return b.div(b.constant(f32, 1), v[0]);
    });
  }

  TensorBuilder &b;
  RouteOp op;
  RouterAttr router;
  Type f32, i32;
  OpFoldResult tokens, experts, topK;
};

} // namespace

FailureOr<SmallVector<Value>> RouteOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  auto [ids, weights] = Router(b, *this).emit();
  return SmallVector<Value>{b.castTo(ids, getIds().getType()),
                            b.castTo(weights, getWeights().getType())};
}

} // namespace moec::moe
