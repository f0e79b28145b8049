#include "lib/kernels/cpu/Route.h"

#include "dialects/moe/Activation.h"
#include "lib/kernels/KernelArguments.h"
#include "lib/kernels/RouteFormulas.h"
#include "lib/kernels/cpu/KernelBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Emits the body of one router. Choices are ranked as integers that compare
/// like them, in which the least stands for an expert that is taken.
class RouteEmitter {
public:
  RouteEmitter(KernelBuilder &b, const Route &op, ValueRange arguments)
      : b(b), op(op), router(op.router), f32(b.getF32Type()), i32(b.getI32Type()) {
    auto next = [&](bool isPresent = true) { return takeArgument(arguments, isPresent); };
    logits = next();
    bias = next(static_cast<bool>(op.bias));
    values = next(static_cast<bool>(op.values));
    ids = next();
    weights = next();
    begin = next();
    end = next();
  }

  void emit() {
    int64_t padded = llvm::alignTo(op.experts, b.lanes());
    scores = scratch(padded, f32);
    choices = scratch(padded, f32);
    keys = scratch(padded, i32);
    picked = scratch(router.getTopK(), f32);
    groupKeys = scratch(router.getGroups(), i32);
    b.forEach(begin, end, 1, [&](Value index) {
      token = index;
      emitScores();
      emitChoices();
      if (router.getGroups() > 1)
        emitGroups();
      b.forVectors(op.experts, [&](Value expert, int64_t count) {
        Value key = choiceKey(b, loadVector(choices, expert));
        store(expand(count, key, b.constant(key.getType(), kTaken)), keys, expert);
      });
      b.forEach(b.index(0), b.index(router.getTopK()), 1, [&](Value k) { pick(k); });
      emitWeights();
    });
  }

private:
  static constexpr int64_t kTaken = std::numeric_limits<int32_t>::min();

  Value scratch(int64_t size, Type element) {
    return memref::AllocaOp::create(b, MemRefType::get(size, element), b.getI64IntegerAttr(64));
  }
  Value constant(double value) { return b.constant(f32, value); }
  Value load(Value memref, ValueRange at) { return memref::LoadOp::create(b, memref, at); }
  Value loadVector(Value memref, Value at) {
    Type element = cast<MemRefType>(memref.getType()).getElementType();
    return vector::LoadOp::create(b, b.vectorOf(element), memref, at);
  }
  void store(Value value, Value memref, ValueRange at) {
    if (isa<VectorType>(value.getType()))
      vector::StoreOp::create(b, value, memref, at);
    else
      memref::StoreOp::create(b, value, memref, at);
  }
  /// `count` lanes of a vector, those behind them as in `rest`.
  Value expand(int64_t count, Value vector, Value rest) {
    if (count == b.lanes())
      return vector;
    Value mask = vector::ConstantMaskOp::create(b, b.vectorOf(b.getI1Type()), count);
    return b.select(mask, vector, rest);
  }

  //===--------------------------------------------------------------------===//
  // Scores and choices
  //===--------------------------------------------------------------------===//

  void emitScores() {
    bool isSoftmax = router.getScore() == moe::Score::softmax;
    b.forVectors(op.experts, [&](Value expert, int64_t count) {
      Value x = b.loadFloats(logits, {token, expert}, count);
      if (router.getScore() == moe::Score::sigmoid)
        x = moe::sigmoid(b, x);
      if (isSoftmax)
        x = expand(count, x, b.constant(b.vector(), -kInfinity));
      store(x, scores, expert);
    });
    if (!isSoftmax)
      return;
    // Lanes past the last expert are -inf, and 0 as exponentials.
    auto fold = [&](double init, function_ref<Value(Value, Value)> step) {
      return b.forEach(b.index(0), b.index(op.experts), b.lanes(), b.constant(b.vector(), init),
                       [&](Value expert, MutableArrayRef<Value> state) {
                         state[0] = step(state[0], expert);
                       })[0];
    };
    Value most = b.broadcast(b.maximumOfLanes(fold(-kInfinity, [&](Value state, Value expert) {
      return b.max(state, loadVector(scores, expert));
    })));
    Value total = b.broadcast(b.sumOfLanes(fold(0, [&](Value state, Value expert) {
      Value p = b.exp(b.sub(loadVector(scores, expert), most));
      store(p, scores, expert);
      return b.add(state, p);
    })));
    b.forVectors(op.experts, [&](Value expert, int64_t) {
      store(b.div(loadVector(scores, expert), total), scores, expert);
    });
  }

  void emitChoices() {
    b.forVectors(op.experts, [&](Value expert, int64_t count) {
      Value choice = loadVector(scores, expert);
      if (bias)
        choice = b.add(choice, b.loadFloats(bias, expert, count));
      store(choice, choices, expert);
    });
  }

  //===--------------------------------------------------------------------===//
  // Groups
  //===--------------------------------------------------------------------===//

  /// Choices outside the best groups are masked.
  void emitGroups() {
    int64_t count = router.getGroups(), members = op.experts / count;
    b.forEach(b.index(0), b.index(count), 1, [&](Value group) {
      store(choiceKey(b, groupScore(b.mul(group, b.index(members)), members)), groupKeys, group);
    });
    double masked = router.getMasked() == moe::Masked::zero ? 0 : -kInfinity;
    b.forEach(b.index(0), b.index(count), 1, [&](Value group) {
      Value mine = load(groupKeys, group);
      Value rank = b.forEach(
          b.index(0), b.index(count), 1, b.index(0), [&](Value other, MutableArrayRef<Value> rank) {
            Value theirs = load(groupKeys, other);
            Value before = b.either(b.less(mine, theirs),
                                    b.both(b.equal(mine, theirs), winsTie(other, group)));
            rank[0] = b.select(before, b.add(rank[0], b.index(1)), rank[0]);
          })[0];
      Value isKept = b.less(rank, b.index(router.getKeptGroups()));
      Value first = b.mul(group, b.index(members));
      b.forEach(first, b.add(first, b.index(members)), 1, [&](Value expert) {
        store(b.select(isKept, load(choices, expert), constant(masked)), choices, expert);
      });
    });
  }

  /// Whether index `lhs` comes before `rhs` among equals.
  Value winsTie(Value lhs, Value rhs) {
    return router.getTies() == moe::Ties::lower ? b.less(lhs, rhs) : b.less(rhs, lhs);
  }

  /// The largest choice of `members` experts from `first` on, or the sum of the
  /// two that come first.
  Value groupScore(Value first, int64_t members) {
    Value last = b.add(first, b.index(members));
    if (router.getGroupScore() == moe::GroupScore::max)
      return b.forEach(first, last, 1, constant(-kInfinity),
                       [&](Value expert, MutableArrayRef<Value> most) {
                         most[0] = b.max(most[0], load(choices, expert));
                       })[0];
    Value none = b.constant(i32, kTaken), zero = constant(0);
    SmallVector<Value> best = b.forEach(
        first, last, 1, {none, none, zero, zero}, [&](Value expert, MutableArrayRef<Value> best) {
          Value x = load(choices, expert), key = choiceKey(b, x);
          auto isBefore = [&](Value other) {
            // Among equals an earlier expert stays ahead, or falls behind.
            return router.getTies() == moe::Ties::lower
                       ? b.less(other, key)
                       : arith::CmpIOp::create(b, arith::CmpIPredicate::sle, other, key)
                             .getResult();
          };
          Value isFirst = isBefore(best[0]), isSecond = isBefore(best[1]);
          best[1] = b.select(isFirst, best[0], b.select(isSecond, key, best[1]));
          best[3] = b.select(isFirst, best[2], b.select(isSecond, x, best[3]));
          best[0] = b.select(isFirst, key, best[0]);
          best[2] = b.select(isFirst, x, best[2]);
        });
    return b.add(best[2], best[3]);
  }

  //===--------------------------------------------------------------------===//
  // Selection and weights
  //===--------------------------------------------------------------------===//

  /// Takes the best expert that is left as the k-th.
  void pick(Value k) {
    bool isLower = router.getTies() == moe::Ties::lower;
    Value zero = b.index(0), all = b.index(op.experts);
    VectorType vector = b.vectorOf(i32);
    Value most = b.forEach(zero, all, b.lanes(), b.constant(vector, kTaken),
                           [&](Value expert, MutableArrayRef<Value> most) {
                             most[0] = b.max(most[0], loadVector(keys, expert));
                           })[0];
    Value best = b.broadcast(vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, most));
    auto lanes = llvm::to_vector(llvm::seq<int32_t>(0, b.lanes()));
    Value steps = arith::ConstantOp::create(b, b.getI32VectorAttr(lanes));
    Value none = b.constant(vector, isLower ? op.experts : -1);
    Value found =
        b.forEach(zero, all, b.lanes(), none, [&](Value expert, MutableArrayRef<Value> found) {
          Value at = b.add(b.broadcast(b.convert(expert, i32)), steps);
          Value here = b.select(b.equal(loadVector(keys, expert), best), at, none);
          found[0] = isLower ? b.min(found[0], here) : b.max(found[0], here);
        })[0];
    Value id = vector::ReductionOp::create(
        b, isLower ? vector::CombiningKind::MINSI : vector::CombiningKind::MAXSI, found);
    Value expert = b.convert(id, b.getIndexType());
    store(scoreOf(expert), picked, k);
    store(b.constant(i32, kTaken), keys, expert);
    store(id, ids, {token, k});
  }

  /// Of an expert that is being taken.
  Value scoreOf(Value expert) {
    if (router.getScore() == moe::Score::sparse_mixer)
      return shareOf(expert);
    return values ? b.convert(load(values, {token, expert}), f32) : load(scores, expert);
  }

  /// The sparse mixer's: the part of the best expert among those that are left
  /// and near it.
  Value shareOf(Value best) {
    Value top = load(scores, best);
    double limit = 2 * router.getJitter().convertToDouble();
    Value total = b.forEach(b.index(0), b.index(op.experts), 1, constant(0),
                            [&](Value expert, MutableArrayRef<Value> sum) {
                              Value x = load(scores, expert),
                                    size = b.max(math::AbsFOp::create(b, x), top);
                              // 0 / 0, the best of all zeros, stays.
                              Value isFar = b.less(constant(limit), b.div(b.sub(top, x), size));
                              Value isTaken = b.equal(load(keys, expert), b.constant(i32, kTaken));
                              Value next = b.add(sum[0], b.exp(b.sub(x, top)));
                              sum[0] = b.select(b.either(isFar, isTaken), sum[0], next);
                            })[0];
    return b.div(constant(1), total);
  }

  /// Folds the picked scores, ascending.
  Value foldPicked(double init, function_ref<Value(Value, Value)> step) {
    return b.forEach(b.index(0), b.index(router.getTopK()), 1, constant(init),
                     [&](Value k, MutableArrayRef<Value> state) {
                       state[0] = step(state[0], load(picked, k));
                     })[0];
  }

  void emitWeights() {
    Value most, total;
    if (router.getNormalize() == moe::Normalize::softmax) {
      most = foldPicked(-kInfinity, [&](Value state, Value x) { return b.max(state, x); });
      total =
          foldPicked(0, [&](Value state, Value x) { return b.add(state, b.exp(b.sub(x, most))); });
    } else if (router.getNormalize() == moe::Normalize::sum) {
      total = foldPicked(0, [&](Value state, Value x) { return b.add(state, x); });
      total = b.add(total, constant(router.getEpsilon().convertToDouble()));
    }
    b.forEach(b.index(0), b.index(router.getTopK()), 1, [&](Value k) {
      Value weight = load(picked, k);
      if (router.getNormalize() == moe::Normalize::sigmoid)
        weight = moe::sigmoid(b, weight);
      if (most)
        weight = b.exp(b.sub(weight, most));
      if (total)
        weight = b.div(weight, total);
      store(scaledWeight(b, router, weight), weights, {token, k});
    });
  }

  KernelBuilder &b;
  const Route &op;
  moe::RouterAttr router;
  Type f32, i32;
  Value logits, bias, values, ids, weights, begin, end;
  Value scores, choices, keys, picked, groupKeys;
  Value token;
};

} // namespace

func::FuncOp Route::build(OpBuilder &builder, const Chip &chip) const {
  return defineKernel(
      builder, chip, name(), argumentTypes(builder),
      [&](KernelBuilder &b, ValueRange arguments) { RouteEmitter(b, *this, arguments).emit(); });
}

} // namespace moec
