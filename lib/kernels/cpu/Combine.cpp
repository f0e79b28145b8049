#include "lib/kernels/cpu/Combine.h"

#include "lib/kernels/cpu/KernelBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moec {
namespace {

/// Where a slot's row is, whether it has one, and its weight, if it has one.
struct Slot {
  Value row, isPresent, weight;
};

void emitToken(KernelBuilder &b, const Combine &op, ValueRange operands, Value token) {
  Value rows = operands[0], positions = operands[1], y = operands.back();
  SmallVector<Slot> slots;
  for (int64_t k = 0; k < op.topK; ++k) {
    SmallVector<Value> at{token, b.index(k)};
    Value position = b.loadIndex(positions, at), zero = b.index(0);
    // Where there is no row, row 0 is read and not added.
    Slot slot{b.max(position, zero), b.less(b.index(-1), position), {}};
    if (op.hasWeights)
      slot.weight = b.broadcast(memref::LoadOp::create(b, operands[2], at));
    slots.push_back(slot);
  }
  b.forVectors(op.hidden, [&](Value column, int64_t count) {
    Value sum = b.constant(b.vector(), 0);
    for (const Slot &slot : slots) {
      Value x = b.loadFloats(rows, {slot.row, column}, count);
      Value next = b.add(sum, slot.weight ? b.mul(slot.weight, x) : x);
      sum = b.select(slot.isPresent, next, sum);
    }
    if (op.hasAddend)
      sum = b.add(sum, b.loadFloats(operands.drop_back().back(), {token, column}, count));
    b.storeFloats(sum, y, {token, column}, count);
  });
}

} // namespace

func::FuncOp Combine::build(OpBuilder &builder, const Chip &chip) const {
  return defineKernel(
      builder, chip, name(), argumentTypes(builder), [&](KernelBuilder &b, ValueRange arguments) {
        ValueRange range = arguments.take_back(2);
        b.forEach(range[0], range[1], 1,
                  [&](Value token) { emitToken(b, *this, arguments.drop_back(2), token); });
      });
}

} // namespace moec
