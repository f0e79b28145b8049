#include "lib/kernels/cuda/HeadUnits.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace moec::cuda {

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

int64_t HeadCopy::units() const { return llvm::divideCeil(depth, elementsOfUnit(element)); }

void HeadCopy::copy(BlockBuilder &b, Value source, Value destination, Value unit,
                    Value isAligned) const {
  int64_t size = elementsOfUnit(element);
  Value first = b.mul(unit, b.i32(size));
  auto copyAt = [&](Value column, Type type) {
    Value offset = b.mul(column, b.i32(bytesOf(element)));
    Value value = source ? b.load(type, b.at(source, offset)) : b.constant(type, 0);
    b.store(value, b.at(destination, offset));
  };
  auto copyEach = [&] {
    Value end = b.min(b.add(first, b.i32(size)), b.i32(depth));
    b.forEach(first, end, 1, [&](Value column) { copyAt(column, element); });
  };
  if (depth % size != 0)
    return copyEach();
  b.ifElse(isAligned, [&] { copyAt(first, VectorType::get(size, element)); }, copyEach);
}

//===----------------------------------------------------------------------===//
// Rotations
//===----------------------------------------------------------------------===//

/// Pairs of a thread.
static int64_t pairsOfUnit(const RopeSpec &op) {
  return elementsOfUnit(op.element) / (op.isInterleaved ? 2 : 1);
}
static int64_t unitsOfPairs(const RopeSpec &op) {
  return llvm::divideCeil(op.pairs, pairsOfUnit(op));
}
/// What passes through, behind the pairs.
static HeadCopy restOf(const RopeSpec &op) { return HeadCopy(op.element, op.depth - 2 * op.pairs); }

int64_t HeadRotation::units(const RopeSpec &op) { return unitsOfPairs(op) + restOf(op).units(); }

HeadRotation::HeadRotation(BlockBuilder &b, const RopeSpec &op, ValueRange inputs)
    : b(b), op(op), x(b, inputs[0]), cosines(b, inputs[1]), sines(b, inputs[2]),
      cacheRows(b.sizeOf(inputs[1], 0)) {
  if (op.hasPositions)
    positions = RowMemory(b, inputs[3]);
}

void HeadRotation::rotate(Value batch, Value token, Value head, Value unit, const RowMemory &y,
                          Value destination) {
  source = x.row(b, {batch, token, head});
  target = destination;
  int64_t size = pairsOfUnit(op);
  Value isAligned = areAligned(b, {x, cosines, sines, y});
  auto rotateUnit = [&] {
    SmallVector<Value> row{batch, token};
    if (positions) {
      Value position = b.load(b.getI64Type(), positions.at(b, row));
      Value isInside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, position, cacheRows);
      cf::AssertOp::create(b, isInside, "a position lies outside the rotary cache");
      row = {position};
    }
    cosine = cosines.row(b, row);
    sine = sines.row(b, row);
    Value first = b.mul(unit, b.i32(size));
    auto rotateEach = [&] {
      Value end = b.min(b.add(first, b.i32(size)), b.i32(op.pairs));
      b.forEach(first, end, 1, [&](Value pair) { rotatePairs(pair, 1); });
    };
    if (op.pairs % size != 0 || op.depth % elementsOfUnit(op.element) != 0)
      return rotateEach();
    b.ifElse(isAligned, [&] { rotatePairs(first, size); }, rotateEach);
  };
  if (op.depth == 2 * op.pairs)
    return rotateUnit();
  Value rest = b.sub(unit, b.i32(unitsOfPairs(op)));
  b.ifElse(b.less(rest, b.i32(0)), rotateUnit, [&] {
    int64_t offset = 2 * op.pairs * bytesOf(op.element);
    // Behind pairs that units do not divide, nothing is aligned.
    Value isWhole = b.constant(b.getI1Type(), offset % kUnitBytes == 0);
    restOf(op).copy(b, b.at(source, offset), b.at(target, offset), rest,
                    b.both(isWhole, isAligned));
  });
}

void HeadRotation::rotatePairs(Value pair, int64_t count) {
  int64_t bytes = bytesOf(op.element);
  Value angle = b.mul(pair, b.i32(bytesOf(op.cache)));
  SmallVector<Value> c = loadFloats(b, op.cache, b.at(cosine, angle), count);
  SmallVector<Value> s = loadFloats(b, op.cache, b.at(sine, angle), count);
  Value at = b.mul(pair, b.i32(op.isInterleaved ? 2 * bytes : bytes));
  Value from = b.at(source, at), to = b.at(target, at);
  int64_t toSecond = op.isInterleaved ? bytes : op.pairs * bytes;
  // A pair alone may begin anywhere, so its elements are not accessed together.
  bool areTogether = op.isInterleaved && count > 1;
  SmallVector<Value> elements = loadFloats(b, op.element, from, areTogether ? 2 * count : count);
  if (!areTogether)
    llvm::append_range(elements, loadFloats(b, op.element, b.at(from, toSecond), count));
  auto place = [&](int64_t i, bool isSecond) -> Value & {
    return elements[areTogether ? 2 * i + isSecond : i + isSecond * count];
  };
  for (int64_t i = 0; i < count; ++i) {
    Value first = place(i, false), second = place(i, true);
    place(i, false) = b.sub(b.mul(first, c[i]), b.mul(second, s[i]));
    place(i, true) = b.add(b.mul(second, c[i]), b.mul(first, s[i]));
  }
  if (areTogether)
    return storeFloats(b, elements, op.element, to);
  storeFloats(b, ValueRange(elements).take_front(count), op.element, to);
  storeFloats(b, ValueRange(elements).drop_front(count), op.element, b.at(to, toSecond));
}

} // namespace moec::cuda
