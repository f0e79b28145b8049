#include "lib/kernels/RouteFormulas.h"

using namespace mlir;

namespace moec {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value choiceKey(TensorBuilder &b, Value choice) {
  Type type = choice.getType(), integer = b.getI32Type();
  if (auto vector = dyn_cast<VectorType>(type))
    integer = vector.clone(integer);
  Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, choice, choice);
  Value x = b.select(isNan, b.constant(type, -kInfinity), b.add(choice, b.constant(type, 0)));
  Value bits = arith::BitcastOp::create(b, integer, x);
  Value largest = b.constant(integer, std::numeric_limits<int32_t>::max());
  Value flipped = arith::XOrIOp::create(b, bits, largest);
  return b.select(b.less(bits, b.constant(integer, 0)), flipped, bits);
}

Value scaledWeight(TensorBuilder &b, moe::RouterAttr router, Value weight) {
  double scale = router.getScale().convertToDouble();
  double least = router.getMinWeight().convertToDouble();
  auto constant = [&](double value) { return b.constant(b.getF32Type(), value); };
  if (scale != 1 || least != -kInfinity)
    weight = b.mul(weight, constant(scale));
  if (least == -kInfinity)
    return weight;
  return b.select(b.less(constant(least), weight), weight, constant(0));
}

} // namespace moec
