//===- Casts.cpp - operators that change the type of elements ---------------===//
#include "passes/raise/ops/Helpers.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// A float as a power of two, for f8E8M0FNU, which has nothing else.
Value powerOfTwo(Emitter &e, Value single, StringRef mode) {
  constexpr int64_t kMantissa = 0x7fffff, kHalf = 0x400000;
  Type i32 = e.getI32Type();
  auto number = [&](int64_t value) {
    return arith::ConstantIntOp::create(e, value, 32).getResult();
  };
  Value bits = arith::BitcastOp::create(e, i32, single);
  if (mode != "down")
    bits = arith::AddIOp::create(e, bits, number(mode == "up" ? kMantissa : kHalf));
  bits = arith::AndIOp::create(e, bits, number(~kMantissa));
  Value isNan = arith::CmpFOp::create(e, arith::CmpFPredicate::UNO, single, single);
  Value power = arith::BitcastOp::create(e, e.getF32Type(), bits);
  return arith::SelectOp::create(e, isNan, single, power);
}

/// To floats of 8 bits, what is too large becomes the largest unless `saturate`
/// is 0.
Tensor castTo(Node &node, Type target) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  auto narrow = dyn_cast<FloatType>(target);
  bool isExact = !narrow || narrow.getWidth() != 8 || x.elementType == target;
  if (isExact)
    node.ignore({"saturate"});
  if (isExact || !isa<Float8E8M0FNUType>(narrow))
    node.ignore({"round_mode"});
  if (isExact)
    return e.cast(x, target);
  bool saturates = node.intAttr("saturate", 1), isPower = isa<Float8E8M0FNUType>(narrow);
  Type f32 = e.getF32Type();
  return e.elementwise({x}, target, [&](Emitter &in, ValueRange v) {
    Value single = in.convert(v[0], x.elementType, f32);
    if (isPower)
      single = powerOfTwo(in, single, node.stringAttr("round_mode", "up"));
    if (saturates)
      single = saturateTo(in, single, narrow);
    return in.convert(single, f32, target);
  });
}

LogicalResult lowerCast(Node &node) {
  Type target = onnx::elementTypeOf(node.emitter.getContext(), node.intAttr("to", 0));
  if (!target)
    return node.refuse("element type ") << node.intAttr("to", 0) << " is not supported";
  return node.set(0, castTo(node, target));
}

LogicalResult lowerCastLike(Node &node) {
  return node.set(0, castTo(node, node.in(1).elementType));
}

/// The bytes of each element read as another type of the same size. A boolean
/// is a byte that is 0 or 1.
LogicalResult lowerBitCast(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  Type target = onnx::elementTypeOf(e.getContext(), node.intAttr("to", 0));
  if (!target)
    return node.refuse("element type ") << node.intAttr("to", 0) << " is not supported";
  auto width = [](Type type) { return type.isInteger(1) ? 8 : type.getIntOrFloatBitWidth(); };
  if (width(target) != width(x.elementType))
    return node.refuse("it casts elements of ")
           << width(x.elementType) << " bits to elements of " << width(target) << " bits";
  if (target.isInteger(1) && !x.isBool())
    return node.refuse("not every byte is a boolean");
  Type byte = e.getIntegerType(8, false);
  Tensor bits = x.isBool() && !target.isInteger(1) ? e.cast(x, byte) : x;
  return node.set(0, e.elementwise({bits}, target, [&](Emitter &in, ValueRange v) -> Value {
    Type type = signlessType(target);
    return v[0].getType() == type ? v[0] : arith::BitcastOp::create(in, type, v[0]).getResult();
  }));
}

const OperatorInfo kTable[] = {
    {"", "BitCast", 1, 1, lowerBitCast, 26},
    {"", "Cast", 1, 1, lowerCast, 9},
    {"", "CastLike", 2, 2, lowerCastLike, 15},
};

} // namespace

ArrayRef<OperatorInfo> castOperators() { return kTable; }

} // namespace moec::raise
