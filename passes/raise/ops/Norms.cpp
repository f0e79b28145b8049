//===- Norms.cpp - layer and root-mean-square normalisation ----------------===//
#include "passes/raise/Operators.h"

#include "dialects/attn/AttnDialect.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// ONNX's codes of element types.
constexpr int64_t kFloat32 = 1, kFloat64 = 11, kBfloat16 = 16;

/// The sizes of x from `axis` on.
Scalars trailing(const Tensor &x, int64_t axis) {
  return Scalars(ArrayRef(x.shape).drop_front(axis));
}

/// x normalised; scale and bias broadcast to the normalised dimensions.
Tensor rmsNorm(Emitter &e, Tensor x, Tensor scale, int64_t axis, double epsilon) {
  scale = e.broadcastTo(scale, trailing(x, axis));
  auto op = attn::RmsNormOp::create(e, e.value(x), e.value(scale), axis, APFloat(epsilon));
  return e.tensor(op, x.elementType, x.shape);
}

struct LayerNorm {
  Tensor y, mean, inverse;
};

LayerNorm layerNorm(Emitter &e, Tensor x, Tensor scale, std::optional<Tensor> bias, int64_t axis,
                    double epsilon) {
  scale = e.broadcastTo(scale, trailing(x, axis));
  Value shift = bias ? e.value(e.broadcastTo(*bias, trailing(x, axis))) : Value();
  auto op = attn::LayerNormOp::create(e, e.value(x), e.value(scale), shift, axis, APFloat(epsilon));
  Scalars kept = x.shape;
  std::fill(kept.begin() + axis, kept.end(), e.size(1));
  Type statistic = cast<RankedTensorType>(op.getMean().getType()).getElementType();
  return {e.tensor(op.getResult(), x.elementType, x.shape), e.tensor(op.getMean(), statistic, kept),
          e.tensor(op.getInverse(), statistic, kept)};
}

/// RMSNormalization, and SimplifiedLayerNormalization of earlier models.
LogicalResult lowerRmsNorm(Node &node) {
  Tensor x = node.in(0);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", -1), x.rank());
  if (failed(axis))
    return failure();
  // Sums are f32, and f64 of inputs in double.
  int64_t stash = node.intAttr("stash_type", kFloat32);
  if (stash != kFloat32 && !(stash == kFloat64 && x.elementType.isF64()))
    return node.refuse("stash_type ") << stash << " is not supported for " << x.elementType;
  return node.set(0, rmsNorm(node.emitter, x, node.in(1), *axis, node.floatAttr("epsilon", 1e-5)));
}

/// The type of the statistics, ONNX's stash_type.
FailureOr<Type> stashType(Node &node) {
  switch (int64_t code = node.intAttr("stash_type", kFloat32)) {
  case kFloat32:
    return Type(node.emitter.getF32Type());
  case kFloat64:
    return Type(node.emitter.getF64Type());
  case kBfloat16:
    return Type(node.emitter.getBF16Type());
  default:
    return node.refuse("stash_type ") << code << " is not a type of statistics";
  }
}

LogicalResult lowerLayerNorm(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<int64_t> axis = node.axis(node.intAttr("axis", -1), x.rank());
  FailureOr<Type> stash = stashType(node);
  if (failed(axis) || failed(stash))
    return failure();
  std::optional<Tensor> bias = node.has(2) ? std::optional(node.in(2)) : std::nullopt;
  LayerNorm norm = layerNorm(e, x, node.in(1), bias, *axis, node.floatAttr("epsilon", 1e-5));
  (void)node.set(0, norm.y);
  if (node.wants(1))
    (void)node.set(1, e.cast(norm.mean, *stash));
  if (node.wants(2))
    (void)node.set(2, e.cast(norm.inverse, *stash));
  return success();
}

/// input + skip + bias, rounded once.
Tensor skipSum(Node &node, unsigned bias) {
  SmallVector<Tensor> terms{node.in(0), node.in(1)};
  if (node.has(bias))
    terms.push_back(node.in(bias));
  Type type = node.in(0).elementType;
  return node.emitter.elementwise(terms, type, [&](Emitter &e, ValueRange v) {
    bool isNarrow = type.getIntOrFloatBitWidth() < 32;
    Type wide = isNarrow ? Type(e.getF32Type()) : type;
    Value sum = e.convert(v[0], type, wide);
    for (Value term : v.drop_front())
      sum = arith::AddFOp::create(e, sum, e.convert(term, type, wide));
    return e.convert(sum, wide, type);
  });
}

/// The last axis of what com.microsoft's skip norms take.
FailureOr<int64_t> skipAxis(Node &node) {
  int64_t rank = node.in(0).rank();
  if (rank != 2 && rank != 3)
    return node.refuse("the input has 2 or 3 dimensions, but this one has ") << rank;
  return rank - 1;
}

constexpr double kSkipEpsilon = 1e-12;

LogicalResult lowerSkipRmsNorm(Node &node) {
  FailureOr<int64_t> axis = skipAxis(node);
  if (failed(axis))
    return failure();
  Tensor sum = skipSum(node, 3);
  double epsilon = node.floatAttr("epsilon", kSkipEpsilon);
  (void)node.set(0, rmsNorm(node.emitter, sum, node.in(2), *axis, epsilon));
  return node.set(3, sum);
}

LogicalResult lowerSkipLayerNorm(Node &node) {
  FailureOr<int64_t> axis = skipAxis(node);
  if (failed(axis))
    return failure();
  Tensor sum = skipSum(node, 4);
  std::optional<Tensor> beta = node.has(3) ? std::optional(node.in(3)) : std::nullopt;
  LayerNorm norm = layerNorm(node.emitter, sum, node.in(2), beta, *axis,
                             node.floatAttr("epsilon", kSkipEpsilon));
  (void)node.set(0, norm.y);
  (void)node.set(1, norm.mean);
  (void)node.set(2, norm.inverse);
  return node.set(3, sum);
}

const OperatorInfo kTable[] = {
    {"", "LayerNormalization", 2, 3, lowerLayerNorm, 17},
    {"", "RMSNormalization", 2, 2, lowerRmsNorm, 23},
    {"", "SimplifiedLayerNormalization", 2, 2, lowerRmsNorm},
    {kMicrosoft, "SimplifiedLayerNormalization", 2, 2, lowerRmsNorm},
    {kMicrosoft, "SkipLayerNormalization", 3, 5, lowerSkipLayerNorm},
    {kMicrosoft, "SkipSimplifiedLayerNormalization", 3, 4, lowerSkipRmsNorm},
};

} // namespace

ArrayRef<OperatorInfo> normOperators() { return kTable; }

} // namespace moec::raise
