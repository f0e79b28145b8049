#include "lib/kernels/cuda/Combine.h"

#include "lib/kernels/cuda/RowFloats.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr int64_t kMostThreads = 128;
/// Slots whose rows are on the way together.
constexpr int64_t kTogether = 8;

class CombineEmitter {
public:
  CombineEmitter(BlockBuilder &b, const CombineSpec &op, ValueRange arguments, Value token,
                 Value firstColumn)
      : b(b), op(op), unit(elementsOfUnit(op.rows)), token(token), firstColumn(firstColumn) {
    auto next = [&](bool isPresent = true) { return takeRows(b, arguments, isPresent); };
    rows = next();
    positions = next();
    weights = next(op.hasWeights);
    addend = next(op.hasAddend);
    y = next();
  }

  void emit() {
    b.ifTrue(b.less(firstColumn, b.i32(op.hidden)), [&] {
      for (int64_t k = 0; k < op.topK; ++k)
        slots.push_back(loadSlot(k));
      // The same for all threads: rows of a width that no unit divides are not.
      if (op.hidden % unit != 0)
        sumEach();
      else
        b.ifElse(
            areAligned(b, {rows, addend, y}), [&] { sum(firstColumn, unit); }, [&] { sumEach(); });
    });
  }

private:
  /// Where a slot's row is, whether it has one, and its weight, if it has one.
  struct Slot {
    Value row, isPresent, weight;
  };

  Slot loadSlot(int64_t k) {
    Value position = b.load(b.getI32Type(), positions.at(b, {token, b.i32(k)}));
    // Where there is no row, row 0 is read and not added.
    Slot slot{b.max(position, b.i32(0)), b.less(b.i32(-1), position), {}};
    if (weights)
      slot.weight = b.load(b.getF32Type(), weights.at(b, {token, b.i32(k)}));
    return slot;
  }

  void sumEach() {
    Value end = b.min(b.add(firstColumn, b.i32(unit)), b.i32(op.hidden));
    b.forEach(firstColumn, end, 1, [&](Value column) { sum(column, 1); });
  }

  void sum(Value column, int64_t count) {
    SmallVector<Value> sums(count, b.constant(b.getF32Type(), 0));
    for (size_t first = 0; first < slots.size(); first += kTogether) {
      ArrayRef<Slot> together = ArrayRef(slots).drop_front(first).take_front(kTogether);
      SmallVector<SmallVector<Value>> parts;
      for (const Slot &slot : together)
        parts.push_back(loadFloats(b, op.rows, rows.at(b, {slot.row, column}), count));
      for (auto [slot, part] : llvm::zip_equal(together, parts))
        for (auto [sum, x] : llvm::zip_equal(sums, part)) {
          Value next = b.add(sum, slot.weight ? b.mul(slot.weight, x) : x);
          sum = b.select(slot.isPresent, next, sum);
        }
    }
    if (addend) {
      SmallVector<Value> part = loadFloats(b, op.element, addend.at(b, {token, column}), count);
      for (auto [sum, x] : llvm::zip_equal(sums, part))
        sum = b.add(sum, x);
    }
    storeFloats(b, sums, op.element, y.at(b, {token, column}));
  }

  BlockBuilder &b;
  const CombineSpec &op;
  int64_t unit;
  RowMemory rows, positions, weights, addend, y;
  /// Of this thread.
  Value token, firstColumn;
  SmallVector<Slot> slots;
};

} // namespace

int64_t Combine::threads() const {
  int64_t units = llvm::divideCeil(hidden, elementsOfUnit(rows));
  return std::clamp<int64_t>(llvm::PowerOf2Ceil(units), kWarp, kMostThreads);
}

int64_t Combine::parts() const {
  return llvm::divideCeil(hidden, elementsOfUnit(rows) * threads());
}

func::FuncOp Combine::build(OpBuilder &builder) const {
  return defineBlockKernel(builder, name(), argumentTypes(builder), {threads()},
                           [&](BlockBuilder &b, ValueRange arguments, Value block) {
                             Value unit = b.add(
                                 b.mul(b.remainder(block, parts()), b.i32(threads())), b.thread());
                             CombineEmitter(b, *this, arguments, b.divided(block, parts()),
                                            b.mul(unit, b.i32(elementsOfUnit(rows))))
                                 .emit();
                           });
}

Value Combine::grid(OpBuilder &builder, Location loc, Value tokens) const {
  TensorBuilder b(builder, loc);
  return b.mul(tokens, b.index(parts()));
}

} // namespace moec::cuda
