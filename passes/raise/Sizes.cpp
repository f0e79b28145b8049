//===- Sizes.cpp - symbolic sizes -----------------------------------------===//
#include "passes/raise/Emitter.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// Whether two values are computed alike from the same values.
bool sameValue(Value lhs, Value rhs) {
  if (lhs == rhs)
    return true;
  Operation *a = lhs.getDefiningOp(), *b = rhs.getDefiningOp();
  if (!a || !b || a->getName() != b->getName() || a->getNumOperands() != b->getNumOperands() ||
      a->getNumRegions() != 0 || !isPure(a) ||
      a->getRawDictionaryAttrs() != b->getRawDictionaryAttrs() ||
      a->getPropertiesAsAttribute() != b->getPropertiesAsAttribute() ||
      cast<OpResult>(lhs).getResultNumber() != cast<OpResult>(rhs).getResultNumber())
    return false;
  return llvm::all_of(llvm::zip(a->getOperands(), b->getOperands()),
                      [](auto pair) { return sameValue(std::get<0>(pair), std::get<1>(pair)); });
}

/// A size as a constant times values, so that quotients cancel.
struct Monomial {
  int64_t factor = 1;
  SmallVector<Value> values;

  void multiply(OpFoldResult size) {
    if (std::optional<int64_t> constant = getConstantIntValue(size)) {
      factor *= *constant;
      return;
    }
    Value value = cast<Value>(size);
    if (auto product = value.getDefiningOp<arith::MulIOp>()) {
      multiply(getAsOpFoldResult(product.getLhs()));
      multiply(getAsOpFoldResult(product.getRhs()));
      return;
    }
    values.push_back(value);
  }

  /// Takes out what both have; what remains is coprime as far as one can see.
  static void cancel(Monomial &a, Monomial &b) {
    for (auto *it = a.values.begin(); it != a.values.end();) {
      auto *other = llvm::find_if(b.values, [&](Value value) { return sameValue(value, *it); });
      if (other == b.values.end()) {
        ++it;
        continue;
      }
      b.values.erase(other);
      it = a.values.erase(it);
    }
    if (a.factor != 0 && b.factor != 0) {
      int64_t common = std::gcd(a.factor, b.factor);
      a.factor /= common;
      b.factor /= common;
    }
  }
};

} // namespace

Value Emitter::index(OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return value;
  return index(*getConstantIntValue(size));
}

Value Emitter::index(int64_t value) { return arith::ConstantIndexOp::create(*this, value); }

OpFoldResult Emitter::foldBinary(OpFoldResult lhs, OpFoldResult rhs,
                                 llvm::function_ref<int64_t(int64_t, int64_t)> constant,
                                 llvm::function_ref<Value(Value, Value)> emit) {
  std::optional<int64_t> a = getConstantIntValue(lhs), b = getConstantIntValue(rhs);
  if (a && b)
    return size(constant(*a, *b));
  return getAsOpFoldResult(emit(index(lhs), index(rhs)));
}

OpFoldResult Emitter::add(OpFoldResult lhs, OpFoldResult rhs) {
  return foldBinary(
      lhs, rhs, [](int64_t a, int64_t b) { return a + b; },
      [&](Value a, Value b) { return createOrFold<arith::AddIOp>(a, b); });
}

OpFoldResult Emitter::sub(OpFoldResult lhs, OpFoldResult rhs) {
  if (equal(lhs, rhs))
    return size(0);
  return foldBinary(
      lhs, rhs, [](int64_t a, int64_t b) { return a - b; },
      [&](Value a, Value b) { return createOrFold<arith::SubIOp>(a, b); });
}

OpFoldResult Emitter::mul(OpFoldResult lhs, OpFoldResult rhs) {
  return foldBinary(
      lhs, rhs, [](int64_t a, int64_t b) { return a * b; },
      [&](Value a, Value b) { return createOrFold<arith::MulIOp>(a, b); });
}

OpFoldResult Emitter::max(OpFoldResult lhs, OpFoldResult rhs) {
  if (equal(lhs, rhs))
    return lhs;
  return foldBinary(
      lhs, rhs, [](int64_t a, int64_t b) { return std::max(a, b); },
      [&](Value a, Value b) { return createOrFold<arith::MaxSIOp>(a, b); });
}

OpFoldResult Emitter::min(OpFoldResult lhs, OpFoldResult rhs) {
  if (equal(lhs, rhs))
    return lhs;
  return foldBinary(
      lhs, rhs, [](int64_t a, int64_t b) { return std::min(a, b); },
      [&](Value a, Value b) { return createOrFold<arith::MinSIOp>(a, b); });
}

OpFoldResult Emitter::divide(OpFoldResult lhs, OpFoldResult rhs) {
  Monomial a, b;
  a.multiply(lhs);
  b.multiply(rhs);
  Monomial::cancel(a, b);
  auto rebuild = [&](const Monomial &monomial) {
    OpFoldResult result = size(monomial.factor);
    for (Value value : monomial.values)
      result = mul(result, value);
    return result;
  };
  OpFoldResult numerator = rebuild(a), denominator = rebuild(b);
  if (isConstantIntValue(denominator, 1))
    return numerator;
  if (isConstantIntValue(denominator, 0))
    return size(0);
  // A size of 0 is no reason to end the process.
  if (!getConstantIntValue(denominator))
    denominator = max(denominator, size(1));
  return foldBinary(
      numerator, denominator, [](int64_t x, int64_t y) { return x / y; },
      [&](Value x, Value y) { return createOrFold<arith::DivSIOp>(x, y); });
}

OpFoldResult Emitter::product(ArrayRef<OpFoldResult> sizes) {
  OpFoldResult result = size(1);
  for (OpFoldResult factor : sizes)
    result = mul(result, factor);
  return result;
}

bool Emitter::equal(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> a = getConstantIntValue(lhs), b = getConstantIntValue(rhs);
  if (a || b)
    return a == b;
  Monomial x, y;
  x.multiply(lhs);
  y.multiply(rhs);
  Monomial::cancel(x, y);
  return x.factor == y.factor && x.values.empty() && y.values.empty();
}

OpFoldResult Emitter::broadcast(OpFoldResult lhs, OpFoldResult rhs) {
  if (equal(lhs, rhs) || isConstantIntValue(rhs, 1))
    return lhs;
  if (isConstantIntValue(lhs, 1))
    return rhs;
  Value a = index(lhs), b = index(rhs), one = index(1);
  auto is = [&](Value x, Value y) {
    return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, x, y);
  };
  Value aIsOne = is(a, one);
  Value fits = createOrFold<arith::OrIOp>(createOrFold<arith::OrIOp>(is(a, b), aIsOne), is(b, one));
  check(fits, "sizes that are to be broadcast differ");
  // A static size other than 1 is what the other one must become.
  if (isa<Attribute>(lhs))
    return lhs;
  if (isa<Attribute>(rhs))
    return rhs;
  return getAsOpFoldResult(createOrFold<arith::SelectOp>(aIsOne, b, a));
}

Scalars Emitter::broadcastShapes(ArrayRef<Tensor> tensors) {
  int64_t rank = 0;
  for (const Tensor &tensor : tensors)
    rank = std::max(rank, tensor.rank());
  Scalars shape(rank, size(1));
  for (const Tensor &tensor : tensors)
    for (int64_t dim = 0; dim < tensor.rank(); ++dim) {
      OpFoldResult &merged = shape[rank - tensor.rank() + dim];
      merged = broadcast(merged, tensor.shape[dim]);
    }
  return shape;
}

} // namespace moec::raise
