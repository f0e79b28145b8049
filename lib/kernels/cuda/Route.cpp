#include "lib/kernels/cuda/Route.h"

#include "dialects/moe/Activation.h"
#include "lib/kernels/RouteFormulas.h"
#include "lib/kernels/cuda/RowFloats.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Before all keys: of an expert that is taken, or none.
constexpr int64_t kTaken = std::numeric_limits<int32_t>::min();
constexpr int64_t kMostHeld = 16, kWarps = 4;

/// Which experts a lane has: `held` neighbours, of which those past the last of
/// their group are none.
struct Lanes {
  explicit Lanes(const RouteSpec &op)
      : groups(op.router.getGroups()), members(op.experts / groups),
        ofGroup(std::min<int64_t>(llvm::bit_floor<uint64_t>(std::max<int64_t>(kWarp / groups, 1)),
                                  llvm::PowerOf2Ceil(members))),
        held(llvm::divideCeil(members, ofGroup)), ofToken(llvm::PowerOf2Ceil(groups * ofGroup)) {}

  int64_t groups, members, ofGroup, held, ofToken;

  int64_t tokensOfBlock() const { return kWarps * (kWarp / ofToken); }
  bool areAllWhole() const { return held * ofGroup == members && groups * ofGroup == ofToken; }
};

/// Emits the body of one router. Choices are ranked as integers that compare
/// like them.
class RouteEmitter {
public:
  RouteEmitter(BlockBuilder &b, const RouteSpec &op, ValueRange arguments, Value block)
      : b(b), op(op), router(op.router), lanes(op), f32(b.getF32Type()), i32(b.getI32Type()) {
    tokens = b.toI32(b.sizeOf(arguments[0], 0));
    auto next = [&](bool isPresent = true) { return takeRows(b, arguments, isPresent); };
    logits = next();
    bias = next(static_cast<bool>(op.bias));
    values = next(static_cast<bool>(op.values));
    ids = next();
    weights = next();
    placeLane(block);
  }

  void emit() {
    // Lanes of a warp pass values to each other: all of them stay.
    b.ifTrue(b.less(firstToken, tokens), [&] {
      computeScores();
      SmallVector<Value> choices = computeChoices();
      if (lanes.groups > 1)
        maskGroups(choices);
      for (auto [j, choice] : llvm::enumerate(choices))
        keys.push_back(b.select(isInside(j), choiceKey(b, choice), b.i32(kTaken)));
      pick();
      if (values)
        picked = loadPickedValue();
      Value weight = scaledWeight(b, router, normalised());
      b.ifTrue(b.both(b.less(token, tokens), b.less(place, b.i32(router.getTopK()))), [&] {
        b.store(pickedId, ids.at(b, {token, place}));
        b.store(weight, weights.at(b, {token, place}));
      });
    });
  }

private:
  //===--------------------------------------------------------------------===//
  // Lanes
  //===--------------------------------------------------------------------===//

  void placeLane(Value block) {
    Value lane = b.lane();
    place = b.remainder(lane, lanes.ofToken);
    base = b.sub(lane, place);
    Value warp = b.add(b.mul(block, b.i32(kWarps)), b.warp());
    firstToken = b.mul(warp, b.i32(kWarp / lanes.ofToken));
    token = b.add(firstToken, b.divided(lane, lanes.ofToken));
    // Lanes without a token compute the last one's, too.
    row = b.min(token, b.sub(tokens, b.i32(1)));
    group = b.divided(place, lanes.ofGroup);
    member = b.mul(b.remainder(place, lanes.ofGroup), b.i32(lanes.held));
    firstExpert = b.add(b.mul(group, b.i32(lanes.members)), member);
  }

  Value expert(int64_t j) { return b.add(firstExpert, b.i32(j)); }
  /// Whether expert j of this lane is one.
  Value isInside(int64_t j) {
    if (lanes.areAllWhole())
      return b.constant(b.getI1Type(), 1);
    return b.both(b.less(group, b.i32(lanes.groups)),
                  b.less(b.add(member, b.i32(j)), b.i32(lanes.members)));
  }
  Value constant(double value) { return b.constant(f32, value); }
  Value fold(Value value, Fold fold) { return b.foldLanes(value, fold, lanes.ofToken); }
  /// The value of a lane of this token.
  Value fromPlace(Value value, Value place) { return b.fromLane(value, b.add(base, place)); }

  /// This lane's elements of a row of experts, in f32; `fallback` where there
  /// are none.
  SmallVector<Value> read(const RowMemory &memory, ValueRange row, double fallback) {
    int64_t bytes = bytesOf(memory.element());
    Value pointer = b.at(memory.row(b, row), b.mul(firstExpert, b.i32(bytes)));
    auto readEach = [&] {
      SmallVector<Value> elements;
      for (int64_t j = 0; j < lanes.held; ++j)
        elements.push_back(b.choose(
            isInside(j), f32,
            [&] { return loadFloats(b, memory.element(), b.at(pointer, j * bytes), 1); },
            [&] { return SmallVector<Value>{constant(fallback)}; })[0]);
      return elements;
    };
    int64_t unit = elementsOfUnit(memory.element());
    if (!lanes.areAllWhole() || lanes.held % unit != 0)
      return readEach();
    return b.choose(
        areAligned(b, memory), SmallVector<Type>(lanes.held, f32),
        [&] { return loadFloats(b, memory.element(), pointer, lanes.held); }, readEach);
  }

  //===--------------------------------------------------------------------===//
  // Scores and choices
  //===--------------------------------------------------------------------===//

  void computeScores() {
    // What is no expert adds 0 to the sum of a softmax.
    scores = read(logits, row, -kInfinity);
    if (router.getScore() == moe::Score::sigmoid)
      for (Value &score : scores)
        score = moe::sigmoid(b, score);
    if (router.getScore() != moe::Score::softmax)
      return;
    Value most = scores.front(), total = constant(0);
    for (Value score : ArrayRef(scores).drop_front())
      most = b.max(most, score);
    most = fold(most, Fold::max);
    for (Value &score : scores) {
      score = b.exp(b.sub(score, most));
      total = b.add(total, score);
    }
    total = fold(total, Fold::sum);
    for (Value &score : scores)
      score = b.div(score, total);
  }

  SmallVector<Value> computeChoices() {
    SmallVector<Value> choices(scores);
    if (bias)
      for (auto [choice, addend] : llvm::zip_equal(choices, read(bias, {}, 0)))
        choice = b.add(choice, addend);
    return choices;
  }

  Value withoutNan(Value x) {
    Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
    return b.select(isNan, constant(-kInfinity), x);
  }

  //===--------------------------------------------------------------------===//
  // Groups
  //===--------------------------------------------------------------------===//

  /// Choices outside the best groups are masked.
  void maskGroups(MutableArrayRef<Value> choices) {
    Value mine = choiceKey(b, groupScore(choices)), rank = b.i32(0);
    for (int64_t other = 0; other < lanes.groups; ++other) {
      Value theirs = fromPlace(mine, b.i32(other * lanes.ofGroup));
      Value wins = router.getTies() == moe::Ties::lower ? b.less(b.i32(other), group)
                                                        : b.less(group, b.i32(other));
      Value isBefore = b.either(b.less(mine, theirs), b.both(b.equal(mine, theirs), wins));
      rank = b.select(isBefore, b.add(rank, b.i32(1)), rank);
    }
    Value isKept = b.less(rank, b.i32(router.getKeptGroups()));
    Value masked = constant(router.getMasked() == moe::Masked::zero ? 0 : -kInfinity);
    for (Value &choice : choices)
      choice = b.select(isKept, choice, masked);
  }

  /// The largest choice of this lane's group, or the sum of the two largest.
  Value groupScore(ArrayRef<Value> choices) {
    bool isSum = router.getGroupScore() == moe::GroupScore::top2_sum;
    Value first = constant(-kInfinity), second = first;
    auto insert = [&](Value larger, Value smaller) {
      second = b.max(b.min(first, larger), b.max(second, smaller));
      first = b.max(first, larger);
    };
    for (auto [j, choice] : llvm::enumerate(choices)) {
      // A NaN is the best choice, but comes last among two.
      Value x = b.select(isInside(j), isSum ? withoutNan(choice) : choice, constant(-kInfinity));
      insert(x, constant(-kInfinity));
    }
    for (int64_t mask = lanes.ofGroup / 2; mask > 0; mask /= 2)
      insert(b.fromLaneAcross(first, mask), b.fromLaneAcross(second, mask));
    return isSum ? b.add(first, second) : first;
  }

  //===--------------------------------------------------------------------===//
  // Selection and weights
  //===--------------------------------------------------------------------===//

  /// Takes the best expert that is left, top_k times.
  void pick() {
    SmallVector<Value> state(keys);
    state.append({b.i32(0), constant(0)});
    state = b.forEach(b.i32(0), b.i32(router.getTopK()), 1, state,
                      [&](Value k, MutableArrayRef<Value> state) {
                        keys.assign(state.begin(), state.end() - 2);
                        Value id = bestExpert(), score = scoreOf(id);
                        for (auto [j, key] : llvm::enumerate(state.drop_back(2)))
                          key = b.select(b.equal(expert(j), id), b.i32(kTaken), key);
                        Value isMine = b.equal(place, k);
                        state.end()[-2] = b.select(isMine, id, state.end()[-2]);
                        state.end()[-1] = b.select(isMine, score, state.end()[-1]);
                      });
    pickedId = state.end()[-2];
    picked = state.end()[-1];
  }

  Value bestExpert() {
    bool isLower = router.getTies() == moe::Ties::lower;
    Value best = keys.front();
    for (Value key : ArrayRef(keys).drop_front())
      best = b.max(best, key);
    best = fold(best, Fold::max);
    Value id = b.i32(isLower ? op.experts : -1);
    for (auto [j, key] : llvm::enumerate(keys)) {
      Value here = b.select(b.equal(key, best), expert(j), b.i32(isLower ? op.experts : -1));
      id = isLower ? b.min(id, here) : b.max(id, here);
    }
    return fold(id, isLower ? Fold::min : Fold::max);
  }

  /// Of an expert that is being taken, for all lanes.
  Value scoreOf(Value id) {
    if (values)
      return constant(0);
    Value bits = b.i32(0);
    for (auto [j, score] : llvm::enumerate(scores))
      bits = b.select(b.equal(expert(j), id), b.bitcast(score, i32), bits);
    Value score = b.bitcast(fold(bits, Fold::bits), f32);
    return router.getScore() == moe::Score::sparse_mixer ? shareOf(score) : score;
  }

  /// The sparse mixer's: the part of the best expert, with the logit `top`, among
  /// those that are left and near it.
  Value shareOf(Value top) {
    Value limit = constant(2 * router.getJitter().convertToDouble());
    SmallVector<Value> terms;
    for (auto [score, key] : llvm::zip_equal(scores, keys)) {
      Value size = b.max(math::AbsFOp::create(b, score), top);
      // 0 / 0, the best of all zeros, stays.
      Value isFar = b.less(limit, b.div(b.sub(top, score), size));
      Value isGone = b.either(isFar, b.equal(key, b.i32(kTaken)));
      terms.push_back(b.select(isGone, constant(0), b.exp(b.sub(score, top))));
    }
    Value total = b.forEach(b.i32(0), b.i32(lanes.ofToken), 1, constant(0),
                            [&](Value place, MutableArrayRef<Value> sum) {
                              for (Value term : terms)
                                sum[0] = b.add(sum[0], fromPlace(term, place));
                            })[0];
    return b.div(constant(1), total);
  }

  Value loadPickedValue() {
    Value at = values.at(b, {row, pickedId});
    return b.convert(
        b.loadIf(b.less(place, b.i32(router.getTopK())), op.values, at, b.constant(op.values, 0)),
        f32);
  }

  /// Folds what the lanes of choices have, ascending.
  Value foldPicked(Value value, double init, function_ref<Value(Value, Value)> step) {
    Value state = constant(init);
    for (int64_t k = 0; k < router.getTopK(); ++k)
      state = step(state, fromPlace(value, b.i32(k)));
    return state;
  }

  Value normalised() {
    auto add = [&](Value lhs, Value rhs) { return b.add(lhs, rhs); };
    auto max = [&](Value lhs, Value rhs) { return b.max(lhs, rhs); };
    switch (router.getNormalize()) {
    case moe::Normalize::keep:
      return picked;
    case moe::Normalize::sigmoid:
      return moe::sigmoid(b, picked);
    case moe::Normalize::sum: {
      Value epsilon = constant(router.getEpsilon().convertToDouble());
      return b.div(picked, b.add(foldPicked(picked, 0, add), epsilon));
    }
    case moe::Normalize::softmax: {
      Value part = b.exp(b.sub(picked, foldPicked(picked, -kInfinity, max)));
      return b.div(part, foldPicked(part, 0, add));
    }
    }
    llvm_unreachable("a normalisation without a case");
  }

  BlockBuilder &b;
  const RouteSpec &op;
  moe::RouterAttr router;
  Lanes lanes;
  Type f32, i32;
  RowMemory logits, bias, values, ids, weights;
  /// The number of tokens, this lane's, and the warp's first.
  Value tokens, token, firstToken, row;
  /// Among the lanes of the token, of which `base` is the first.
  Value place, base;
  Value group, member, firstExpert;
  SmallVector<Value> scores, keys;
  /// Of the choice whose number is this lane's place.
  Value pickedId, picked;
};

} // namespace

bool Route::isSupported() const {
  return router.getGroups() <= kWarp && router.getTopK() <= kWarp && Lanes(*this).held <= kMostHeld;
}

func::FuncOp Route::build(OpBuilder &builder) const {
  return defineBlockKernel(builder, name(), argumentTypes(builder), {kWarps * kWarp},
                           [&](BlockBuilder &b, ValueRange arguments, Value block) {
                             RouteEmitter(b, *this, arguments, block).emit();
                           });
}

Value Route::grid(OpBuilder &builder, Location loc, Value tokens) const {
  TensorBuilder b(builder, loc);
  return arith::CeilDivUIOp::create(b, tokens, b.index(Lanes(*this).tokensOfBlock()));
}

} // namespace moec::cuda
