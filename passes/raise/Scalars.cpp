//===- Scalars.cpp - arithmetic on integers and indices in bodies ----------===//
#include "passes/raise/Emitter.h"

using namespace mlir;

namespace moec::raise {

Value Emitter::add(Value lhs, Value rhs) { return createOrFold<arith::AddIOp>(lhs, rhs); }
Value Emitter::sub(Value lhs, Value rhs) { return createOrFold<arith::SubIOp>(lhs, rhs); }
Value Emitter::mul(Value lhs, Value rhs) { return createOrFold<arith::MulIOp>(lhs, rhs); }
Value Emitter::min(Value lhs, Value rhs) { return createOrFold<arith::MinSIOp>(lhs, rhs); }
Value Emitter::max(Value lhs, Value rhs) { return createOrFold<arith::MaxSIOp>(lhs, rhs); }
Value Emitter::quotient(Value lhs, Value rhs) { return createOrFold<arith::DivSIOp>(lhs, rhs); }
Value Emitter::remainder(Value lhs, Value rhs) { return createOrFold<arith::RemSIOp>(lhs, rhs); }

Value Emitter::less(Value lhs, Value rhs) {
  return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::slt, lhs, rhs);
}
Value Emitter::same(Value lhs, Value rhs) {
  return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, lhs, rhs);
}
Value Emitter::both(Value lhs, Value rhs) { return createOrFold<arith::AndIOp>(lhs, rhs); }
Value Emitter::either(Value lhs, Value rhs) { return createOrFold<arith::OrIOp>(lhs, rhs); }
Value Emitter::negation(Value condition) {
  return createOrFold<arith::XOrIOp>(condition, constant(getI1Type(), 1));
}
Value Emitter::select(Value condition, Value yes, Value no) {
  return createOrFold<arith::SelectOp>(condition, yes, no);
}

Value Emitter::toIndex(Value integer) {
  if (integer.getType().isIndex())
    return integer;
  return createOrFold<arith::IndexCastOp>(getIndexType(), integer);
}
Value Emitter::fromIndex(Value index, Type integer) {
  return createOrFold<arith::IndexCastOp>(integer, index);
}

Value Emitter::linearIndex(ValueRange indices, ArrayRef<OpFoldResult> shape) {
  Value linear = index(0);
  for (auto [at, size] : llvm::zip_equal(indices, shape))
    linear = add(mul(linear, index(size)), at);
  return linear;
}

SmallVector<Value> Emitter::indicesOf(Value linear, ArrayRef<OpFoldResult> shape) {
  SmallVector<Value> indices(shape.size());
  for (int64_t dim = shape.size() - 1; dim >= 0; --dim) {
    // The first index is what is left.
    indices[dim] = dim == 0 ? linear : remainder(linear, index(shape[dim]));
    linear = quotient(linear, index(shape[dim]));
  }
  return indices;
}

} // namespace moec::raise
