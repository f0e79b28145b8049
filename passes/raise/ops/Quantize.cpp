//===- Quantize.cpp - quantised tensors and products of them ---------------===//
#include "passes/raise/Operators.h"
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// A scale or zero point at every element of `x`: one for the tensor, one for
/// each index of `axis`, or one for each block of `block` elements along it.
FailureOr<Tensor> spread(Node &node, Tensor parameter, const Tensor &x, int64_t block,
                         bool perTensor) {
  Emitter &e = node.emitter;
  int64_t stated = node.intAttr("axis", 1);
  if (parameter.rank() == 0)
    return parameter;
  bool isSingle = parameter.rank() == 1 && isConstantIntValue(parameter.shape[0], 1);
  if (perTensor || isSingle)
    return e.reshape(parameter, {});
  FailureOr<int64_t> axis = node.axis(stated, x.rank());
  if (failed(axis))
    return failure();
  if (block == 0) {
    if (parameter.rank() != 1)
      return node.refuse("scales of rank ") << parameter.rank() << " need a block_size";
    Scalars shape(x.rank(), e.size(1));
    shape[*axis] = parameter.shape[0];
    return e.reshape(parameter, shape);
  }
  if (parameter.rank() != x.rank())
    return node.refuse("blocked scales must have the rank of the tensor");
  Value data = e.value(parameter);
  return e.generate(x.shape, parameter.elementType, [&](Emitter &in, ValueRange at) {
    SmallVector<Value> indices(at);
    indices[*axis] = arith::DivUIOp::create(in, at[*axis], in.index(block));
    return in.read(data, indices);
  });
}

/// Scale and zero point (may be missing) of an input, as broadcast tensors.
struct Parameters {
  Tensor scale;
  std::optional<Tensor> zero;
};
FailureOr<Parameters> parametersOf(Node &node, const Tensor &x, unsigned scale, unsigned zero) {
  int64_t block = node.intAttr("block_size", 0);
  bool perTensor = node.in(scale).rank() == 0;
  FailureOr<Tensor> scales = spread(node, node.in(scale), x, block, perTensor);
  if (failed(scales))
    return failure();
  Parameters result{*scales, std::nullopt};
  if (node.has(zero)) {
    FailureOr<Tensor> zeros = spread(node, node.in(zero), x, block, perTensor);
    if (failed(zeros))
      return failure();
    result.zero = *zeros;
  }
  return result;
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
  SmallVector<Tensor> inputs{x, parameters.scale};
  if (parameters.zero && isa<IntegerType>(target))
    inputs.push_back(*parameters.zero);
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
  FailureOr<Parameters> parameters = parametersOf(node, x, 1, 2);
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
  FailureOr<Parameters> parameters = parametersOf(node, x, 1, 2);
  if (failed(parameters))
    return failure();
  FailureOr<Type> stated = typeAttr(node, "output_dtype", parameters->scale.elementType);
  if (failed(stated))
    return failure();
  Type result = *stated;
  if (!isa<FloatType>(result))
    return node.refuse("the output type is not a float");
  SmallVector<Tensor> inputs{x, parameters->scale};
  bool hasZero = parameters->zero && isa<IntegerType>(x.elementType);
  if (hasZero)
    inputs.push_back(*parameters->zero);
  Type narrow = x.elementType, wide = e.getIntegerType(32, true);
  return node.set(0, e.elementwise(inputs, result, [&](Emitter &in, ValueRange v) {
    // Differences of zero points are exact, also where they leave the type.
    Value value = v[0];
    Type type = narrow;
    if (isa<IntegerType>(narrow)) {
      value = in.convert(value, narrow, wide);
      type = wide;
      if (hasZero)
        value = arith::SubIOp::create(in, value, in.convert(v[2], narrow, wide));
    }
    Type scaleType = parameters->scale.elementType;
    value = in.convert(value, type, scaleType);
    return in.convert(arith::MulFOp::create(in, value, v[1]), scaleType, result);
  }));
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
