//===- ChannelNorms.cpp - normalisation of images and of vectors ------------===//
//
// Inputs are [N, C, D1, ...]. Statistics are f32 at least; the result is rounded
// once.
//
//===----------------------------------------------------------------------===//
#include "passes/raise/ops/Formulas.h"

using namespace mlir;

namespace moec::raise {
namespace {

Tensor widen(Emitter &e, Tensor x) {
  return x.elementType.getIntOrFloatBitWidth() < 32 ? e.cast(x, e.getF32Type()) : x;
}

Tensor combine(Emitter &e, Tensor a, Tensor b, Value (*formula)(Emitter &, Value, Value)) {
  return e.elementwise({a, b}, a.elementType,
                       [&](Emitter &in, ValueRange v) { return formula(in, v[0], v[1]); });
}

/// The mean over `dims`, which stay with size 1.
Tensor mean(Emitter &e, Tensor x, ArrayRef<int64_t> dims) {
  OpFoldResult count = e.size(1);
  for (int64_t dim : dims)
    count = e.mul(count, x.shape[dim]);
  Value divisor = arith::IndexCastOp::create(e, e.getI64Type(), e.index(count));
  divisor = arith::SIToFPOp::create(e, x.elementType, divisor);
  Tensor sum = e.reduce(x, dims, /*keepDims=*/true, e.constant(x.elementType, 0),
                        [](Emitter &in, ValueRange v) { return addf(in, v[0], v[1]); });
  return e.elementwise({sum}, x.elementType,
                       [&](Emitter &in, ValueRange v) { return divf(in, v[0], divisor); });
}

struct Moments {
  Tensor mean, variance;
};

Moments moments(Emitter &e, Tensor x, ArrayRef<int64_t> dims) {
  Tensor centre = mean(e, x, dims);
  Tensor squares = e.elementwise({x, centre}, x.elementType, [](Emitter &in, ValueRange v) {
    Value difference = subf(in, v[0], v[1]);
    return mulf(in, difference, difference);
  });
  return {centre, mean(e, squares, dims)};
}

/// scale * (x - mean) / sqrt(variance + epsilon) + bias
Tensor normalise(Emitter &e, Tensor x, const Moments &of, Tensor scale, Tensor bias,
                 double epsilon) {
  return e.elementwise(
      {x, of.mean, of.variance, scale, bias}, x.elementType, [&](Emitter &in, ValueRange v) {
        Value shifted = addf(in, v[2], in.constant(x.elementType, epsilon));
        Value unit = divf(in, subf(in, v[0], v[1]), math::SqrtOp::create(in, shifted));
        return addf(in, mulf(in, v[3], unit), v[4]);
      });
}

/// A vector with one element per channel, laid along dimension 1 of `rank`.
Tensor perChannel(Emitter &e, Tensor vector, int64_t rank, Type type) {
  Scalars shape(rank, e.size(1));
  shape[1] = vector.shape[0];
  return e.cast(e.reshape(vector, shape), type);
}

SmallVector<int64_t> dimsFrom(int64_t first, int64_t rank) {
  return llvm::to_vector(llvm::seq(first, rank));
}

LogicalResult checkImage(Node &node) {
  if (node.in(0).rank() < 2)
    return node.refuse("its input has the rank ") << node.in(0).rank() << " and no channels";
  return success();
}

/// Running statistics after a batch: momentum * running + (1 - momentum) * batch.
Tensor mixed(Emitter &e, Tensor running, Tensor batch, double momentum) {
  Type type = batch.elementType;
  Tensor flat = e.reshape(batch, {running.shape[0]}), old = e.cast(running, type);
  Tensor result = e.elementwise({old, flat}, type, [&](Emitter &in, ValueRange v) {
    return addf(in, mulf(in, v[0], in.constant(type, momentum)),
                mulf(in, v[1], in.constant(type, 1 - momentum)));
  });
  return e.cast(result, running.elementType);
}

LogicalResult lowerBatchNorm(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  if (failed(checkImage(node)))
    return failure();
  Tensor wide = widen(e, x);
  Type type = wide.elementType;
  auto channel = [&](unsigned input) { return perChannel(e, node.in(input), x.rank(), type); };
  bool isTraining = node.intAttr("training_mode", 0);
  SmallVector<int64_t> dims = dimsFrom(2, x.rank());
  dims.insert(dims.begin(), 0);
  Moments of = isTraining ? moments(e, wide, dims) : Moments{channel(3), channel(4)};
  Tensor y = normalise(e, wide, of, channel(1), channel(2), node.floatAttr("epsilon", 1e-5f));
  (void)node.set(0, e.cast(y, x.elementType));
  if (!isTraining) {
    node.ignore({"momentum"});
    return success();
  }
  double momentum = node.floatAttr("momentum", 0.9f);
  (void)node.set(1, mixed(e, node.in(3), of.mean, momentum));
  return node.set(2, mixed(e, node.in(4), of.variance, momentum));
}

LogicalResult lowerInstanceNorm(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  if (failed(checkImage(node)))
    return failure();
  Tensor wide = widen(e, x);
  Type type = wide.elementType;
  Tensor y = normalise(e, wide, moments(e, wide, dimsFrom(2, x.rank())),
                       perChannel(e, node.in(1), x.rank(), type),
                       perChannel(e, node.in(2), x.rank(), type), node.floatAttr("epsilon", 1e-5f));
  return node.set(0, e.cast(y, x.elementType));
}

/// Channels are normalised in groups. Before version 21, scale and bias have
/// one element per group, and from then on one per channel.
LogicalResult lowerGroupNorm(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  if (failed(checkImage(node)))
    return failure();
  int64_t groups = node.intAttr("num_groups", 0);
  if (groups < 1)
    return node.refuse("num_groups is ") << groups;
  constexpr int64_t kF32 = 1;
  if (node.intAttr("stash_type", kF32) != kF32 && !x.elementType.isF64())
    return node.refuse("its statistics are float32, but stash_type is ")
           << node.intAttr("stash_type", kF32);
  OpFoldResult each = e.divide(x.shape[1], e.size(groups));
  Value whole = e.index(e.mul(each, e.size(groups)));
  e.check(e.same(whole, e.index(x.shape[1])), "the channels do not divide into the groups");
  Scalars apart{x.shape[0], e.size(groups), each};
  apart.append(x.shape.begin() + 2, x.shape.end());
  Tensor wide = e.reshape(widen(e, x), apart);
  auto spread = [&](unsigned input) {
    Scalars shape(apart.size(), e.size(1));
    shape[1] = e.size(groups);
    if (node.version() >= 21)
      shape[2] = each;
    return e.cast(e.reshape(node.in(input), shape), wide.elementType);
  };
  Tensor y = normalise(e, wide, moments(e, wide, dimsFrom(2, wide.rank())), spread(1), spread(2),
                       node.floatAttr("epsilon", 1e-5f));
  return node.set(0, e.reshape(e.cast(y, x.elementType), x.shape));
}

/// x / |x| along an axis, by the sum of magnitudes (p = 1) or the root of the
/// sum of squares (p = 2); 0 where that is 0.
LogicalResult lowerLpNorm(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), wide = widen(e, x);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", -1), x.rank());
  int64_t p = node.intAttr("p", 2);
  if (failed(axis))
    return failure();
  if (p != 1 && p != 2)
    return node.refuse("p is 1 or 2, but it is ") << p;
  Type type = wide.elementType;
  Tensor terms = e.elementwise({wide}, type, [&](Emitter &in, ValueRange v) -> Value {
    return p == 1 ? math::AbsFOp::create(in, v[0]).getResult() : mulf(in, v[0], v[0]);
  });
  Tensor sum = e.reduce(terms, *axis, /*keepDims=*/true, e.constant(type, 0),
                        [](Emitter &in, ValueRange v) { return addf(in, v[0], v[1]); });
  Tensor y = e.elementwise({wide, sum}, type, [&](Emitter &in, ValueRange v) {
    Value norm = p == 1 ? v[1] : math::SqrtOp::create(in, v[1]).getResult();
    Value zero = in.constant(type, 0);
    Value isZero = arith::CmpFOp::create(in, arith::CmpFPredicate::OEQ, norm, zero);
    return in.select(isZero, zero, divf(in, v[0], norm));
  });
  return node.set(0, e.cast(y, x.elementType));
}

/// (x - mean) / (sqrt(mean(x^2) - mean^2) + 1e-9)
LogicalResult lowerMeanVarianceNorm(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0), wide = widen(e, x);
  FailureOr<SmallVector<int64_t>> dims =
      node.axes(node.intsAttr("axes").value_or(SmallVector<int64_t>{0, 2, 3}), x.rank());
  if (failed(dims))
    return failure();
  Type type = wide.elementType;
  Tensor centre = mean(e, wide, *dims), square = mean(e, combine(e, wide, wide, mulf), *dims);
  Tensor y = e.elementwise({wide, centre, square}, type, [&](Emitter &in, ValueRange v) {
    Value variance = subf(in, v[2], mulf(in, v[1], v[1]));
    Value deviation = addf(in, math::SqrtOp::create(in, variance), in.constant(type, 1e-9));
    return divf(in, subf(in, v[0], v[1]), deviation);
  });
  return node.set(0, e.cast(y, x.elementType));
}

const OperatorInfo kTable[] = {
    {"", "BatchNormalization", 5, 5, lowerBatchNorm, 9},
    {"", "GroupNormalization", 3, 3, lowerGroupNorm, 18},
    {"", "InstanceNormalization", 3, 3, lowerInstanceNorm, 6},
    {"", "LpNormalization", 1, 1, lowerLpNorm, 1},
    {"", "MeanVarianceNormalization", 1, 1, lowerMeanVarianceNorm, 9},
};

} // namespace

ArrayRef<OperatorInfo> channelNormOperators() { return kTable; }

} // namespace moec::raise
