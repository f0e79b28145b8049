//===- Quantize.cpp - quantised tensors and products of them ---------------===//
#include "dialects/moe/MoeDialect.h"
#include "passes/raise/Operators.h"
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// Scale and zero point (may be missing) of an input, with the rank of the input:
/// one for the tensor, one for each index of the axis, or one for each block
/// along it.
struct Parameters {
  Tensor scale;
  std::optional<Tensor> zero = std::nullopt;
  int64_t axis = 0, block = 0;
};

FailureOr<Parameters> placeScale(Node &node, const Tensor &x) {
  Emitter &e = node.emitter;
  Tensor scale = node.in(1);
  int64_t stated = node.intAttr("axis", 1), block = node.intAttr("block_size", 0);
  Scalars shape(x.rank(), e.size(1));
  bool isSingle = scale.rank() == 0 || (scale.rank() == 1 && isConstantIntValue(scale.shape[0], 1));
  if (isSingle)
    return Parameters{e.reshape(scale, shape)};
  FailureOr<int64_t> axis = node.axis(stated, x.rank());
  if (failed(axis))
    return failure();
  if (block == 0) {
    if (scale.rank() != 1)
      return node.refuse("scales of rank ") << scale.rank() << " need a block_size";
    shape[*axis] = x.shape[*axis];
    return Parameters{e.reshape(scale, shape), std::nullopt, *axis};
  }
  if (scale.rank() != x.rank())
    return node.refuse("blocked scales must have the rank of the tensor");
  return Parameters{scale, std::nullopt, *axis, block};
}

FailureOr<Parameters> parametersOf(Node &node, const Tensor &x) {
  FailureOr<Parameters> result = placeScale(node, x);
  // The zero point has the shape of the scale, whatever is known of it.
  if (succeeded(result) && node.has(2))
    result->zero = node.emitter.reshape(node.in(2), result->scale.shape);
  return result;
}

/// One scale or zero point for each element of `x`, as far as they are blocked.
Tensor spread(Emitter &e, Tensor parameter, const Parameters &placed, const Tensor &x) {
  if (placed.block == 0)
    return parameter;
  Value data = e.value(parameter);
  return e.generate(x.shape, parameter.elementType, [&](Emitter &in, ValueRange at) {
    SmallVector<Value> indices(at);
    indices[placed.axis] = arith::DivUIOp::create(in, at[placed.axis], in.index(placed.block));
    return in.read(data, indices);
  });
}

/// The element type that an attribute states, which is 0 where it does not.
FailureOr<Type> typeAttr(Node &node, StringRef name, Type unstated) {
  int64_t code = node.intAttr(name, 0);
  Type type = code ? onnx::elementTypeOf(node.emitter.getContext(), code) : unstated;
  if (!type)
    return node.refuse(name + " ") << code << " is not supported";
  return type;
}

Value toFloat32(Emitter &e, Value value) {
  return value.getType().getIntOrFloatBitWidth() < 32
             ? e.convert(value, value.getType(), e.getF32Type())
             : value;
}

/// x / scale, divided in the type `precision`, then rounded to `target`.
Tensor quantize(Emitter &e, Tensor x, const Parameters &parameters, Type precision, Type target) {
  SmallVector<Tensor> inputs{x, spread(e, parameters.scale, parameters, x)};
  if (parameters.zero && isa<IntegerType>(target))
    inputs.push_back(spread(e, *parameters.zero, parameters, x));
  return e.elementwise(inputs, target, [&](Emitter &in, ValueRange v) {
    Value value = in.convert(v[0], x.elementType, precision);
    Value scale = in.convert(v[1], parameters.scale.elementType, precision);
    Value scaled = toFloat32(in, arith::DivFOp::create(in, value, scale));
    if (auto narrow = dyn_cast<FloatType>(target))
      return in.convert(saturateTo(in, scaled, narrow), scaled.getType(), target);
    return toQuantized(in, scaled, v.size() > 2 ? v[2] : Value(), target);
  });
}

LogicalResult lowerQuantizeLinear(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  if (!x.isFloat())
    x = e.cast(x, e.getF32Type());
  Type fromZero = node.has(2) ? node.in(2).elementType : Type();
  FailureOr<Type> target =
      typeAttr(node, "output_dtype", fromZero ? fromZero : e.getIntegerType(8, false));
  if (failed(target))
    return failure();
  if (fromZero && *target != fromZero)
    return node.refuse("output_dtype is not the type of the zero point, ") << fromZero;
  bool saturates = node.intAttr("saturate", 1);
  if (isa<FloatType>(*target) && !saturates)
    return node.refuse("quantisation to floats without saturation is not supported");
  FailureOr<Parameters> parameters = parametersOf(node, x);
  if (failed(parameters))
    return failure();
  // Scales that are powers of two have no arithmetic of their own.
  Type scaleType = parameters->scale.elementType;
  bool isTiny = scaleType.getIntOrFloatBitWidth() <= 8;
  FailureOr<Type> precision = typeAttr(node, "precision", isTiny ? x.elementType : scaleType);
  if (failed(precision))
    return failure();
  if (!isa<FloatType>(*precision))
    return node.refuse("it divides floats, but precision is ") << *precision;
  return node.set(0, quantize(e, x, *parameters, *precision, *target));
}

LogicalResult lowerDequantizeLinear(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<Type> stated = typeAttr(node, "output_dtype", node.in(1).elementType);
  FailureOr<Parameters> parameters = parametersOf(node, x);
  if (failed(stated) || failed(parameters))
    return failure();
  Type result = *stated, scaleType = parameters->scale.elementType;
  if (!isa<FloatType>(result))
    return node.refuse("the output type is not a float");
  // Floats of few bits have no zero point.
  if (x.isFloat()) {
    Tensor scale = spread(e, parameters->scale, *parameters, x);
    return node.set(0, e.elementwise({x, scale}, result, [&](Emitter &in, ValueRange v) {
      Value value = in.convert(v[0], x.elementType, scaleType);
      return in.convert(arith::MulFOp::create(in, value, v[1]), scaleType, result);
    }));
  }
  if (scaleType.getIntOrFloatBitWidth() < 16)
    return node.refuse("integers have scales of at least 16 bits, but these are ") << scaleType;
  Value zeros = parameters->zero ? e.value(*parameters->zero) : Value();
  auto op = moe::DequantizeOp::create(e, e.value(x), e.value(parameters->scale), zeros,
                                      parameters->axis, parameters->block, result,
                                      /*is_unsigned=*/x.isUnsigned());
  return node.set(0, e.tensor(op, result, x.shape));
}

/// Scale and zero point that span the tensor's values and zero, then
/// quantisation to uint8.
LogicalResult lowerDynamicQuantizeLinear(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  Type f32 = e.getF32Type(), u8 = e.getIntegerType(8, false);
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  auto extreme = [&](auto op) {
    return e.reduce(x, all, /*keepDims=*/false, e.constant(f32, 0), [&](Emitter &in, ValueRange v) {
      return decltype(op)::create(in, v[0], v[1]).getResult();
    });
  };
  Tensor low = extreme(arith::MinimumFOp()), high = extreme(arith::MaximumFOp());
  Tensor scale = e.elementwise({low, high}, f32, [&](Emitter &in, ValueRange v) {
    return arith::DivFOp::create(in, arith::SubFOp::create(in, v[1], v[0]), in.constant(f32, 255))
        .getResult();
  });
  Tensor zero = e.elementwise({low, scale}, u8, [&](Emitter &in, ValueRange v) {
    Value shift = arith::NegFOp::create(in, arith::DivFOp::create(in, v[0], v[1]));
    return toQuantized(in, shift, Value(), u8);
  });
  (void)node.set(1, scale);
  (void)node.set(2, zero);
  return node.set(0, quantize(e, x, {scale, zero}, f32, u8));
}

/// The tensor minus its zero point, as 32-bit integers. A zero point with one
/// element per row or column of a matrix is laid along `dim` from the end.
Tensor centred(Emitter &e, Tensor x, std::optional<Tensor> zero, int64_t dim) {
  Type si32 = e.getIntegerType(32, true);
  Tensor wide = e.cast(x, si32);
  if (!zero)
    return wide;
  if (zero->rank() == 1 && isConstantIntValue(zero->shape[0], 1))
    zero = e.reshape(*zero, {});
  else if (zero->rank() == 1 && dim == 2)
    zero = e.unsqueeze(*zero, {1});
  return e.elementwise({wide, e.cast(*zero, si32)}, si32, [](Emitter &in, ValueRange v) {
    return arith::SubIOp::create(in, v[0], v[1]).getResult();
  });
}

std::optional<Tensor> optional(Node &node, unsigned input) {
  return node.has(input) ? std::optional(node.in(input)) : std::nullopt;
}

LogicalResult lowerMatMulInteger(Node &node) {
  Emitter &e = node.emitter;
  Tensor a = centred(e, node.in(0), optional(node, 2), 2);
  Tensor b = centred(e, node.in(1), optional(node, 3), 1);
  return node.set(0, matmul(e, a, b));
}

LogicalResult lowerQLinearMatMul(Node &node) {
  Emitter &e = node.emitter;
  Type f32 = e.getF32Type(), target = node.in(7).elementType;
  Tensor a = centred(e, node.in(0), optional(node, 2), 2);
  Tensor b = centred(e, node.in(3), optional(node, 5), 1);
  Tensor sum = e.cast(matmul(e, a, b), f32);
  auto along = [&](unsigned input, int64_t dim) {
    Tensor parameter = node.in(input);
    if (parameter.rank() == 1 && isConstantIntValue(parameter.shape[0], 1))
      return e.reshape(parameter, {});
    return parameter.rank() == 1 && dim == 2 ? e.unsqueeze(parameter, {1}) : parameter;
  };
  Tensor scales[] = {along(1, 2), along(4, 1), along(6, 2)};
  return node.set(0, e.elementwise({sum, scales[0], scales[1], scales[2], along(7, 2)}, target,
                                   [&](Emitter &in, ValueRange v) {
                                     Value product = arith::MulFOp::create(in, toFloat32(in, v[1]),
                                                                           toFloat32(in, v[2]));
                                     Value factor =
                                         arith::DivFOp::create(in, product, toFloat32(in, v[3]));
                                     return toQuantized(in, arith::MulFOp::create(in, v[0], factor),
                                                        v[4], target);
                                   }));
}

const OperatorInfo kTable[] = {
    {"", "DequantizeLinear", 2, 3, lowerDequantizeLinear, 10},
    {"", "DynamicQuantizeLinear", 1, 1, lowerDynamicQuantizeLinear, 11},
    {"", "MatMulInteger", 2, 4, lowerMatMulInteger, 10},
    {"", "QLinearMatMul", 8, 8, lowerQLinearMatMul, 10},
    {"", "QuantizeLinear", 2, 3, lowerQuantizeLinear, 10},
};

} // namespace

Value saturateTo(Emitter &e, Value value, FloatType target) {
  bool losesInfo;
  APFloat largest = APFloat::getLargest(target.getFloatSemantics());
  largest.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
  double limit = largest.convertToDouble();
  Type type = value.getType();
  value = arith::MaximumFOp::create(e, value, e.constant(type, -limit));
  return arith::MinimumFOp::create(e, value, e.constant(type, limit));
}

Value toQuantized(Emitter &e, Value value, Value zero, Type target) {
  Type type = value.getType();
  unsigned bits = target.getIntOrFloatBitWidth();
  bool isUnsigned = target.isUnsignedInteger();
  double low = isUnsigned ? 0 : -std::ldexp(1.0, bits - 1);
  double high = std::ldexp(1.0, isUnsigned ? bits : bits - 1) - 1;
  Value rounded = math::RoundEvenOp::create(e, value);
  if (zero)
    rounded = arith::AddFOp::create(e, rounded, e.convert(zero, target, type));
  // NaN becomes the lowest value.
  rounded = arith::MaxNumFOp::create(e, rounded, e.constant(type, low));
  rounded = arith::MinNumFOp::create(e, rounded, e.constant(type, high));
  return e.convert(rounded, type, target);
}

ArrayRef<OperatorInfo> quantizeOperators() { return kTable; }

} // namespace moec::raise
