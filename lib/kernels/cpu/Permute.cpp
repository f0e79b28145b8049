#include "lib/kernels/cpu/Permute.h"

#include "lib/kernels/cpu/KernelBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moec {
namespace {

class PermuteEmitter {
public:
  PermuteEmitter(KernelBuilder &b, const Permute &op, ValueRange arguments)
      : b(b), op(op), i32(b.getI32Type()), ids(arguments[0]), offsets(arguments[1]),
        slots(arguments[2]), positions(arguments[3]), begin(arguments[4]), end(arguments[5]) {}

  void emit() {
    next =
        memref::AllocaOp::create(b, MemRefType::get(op.experts + 1, i32), b.getI64IntegerAttr(64));
    b.forEach(begin, end, 1, [&](Value) {
      Value zero = constant(0);
      forBuckets([&](Value bucket) { store(zero, next, bucket); });
      forSlots([&](Value, Value, Value bucket) { (void)take(bucket); });
      sumCounts();
      forSlots([&](Value token, Value k, Value bucket) { place(token, k, bucket); });
    });
  }

private:
  Value constant(int64_t value) { return b.constant(i32, static_cast<double>(value)); }
  Value load(Value memref, ValueRange at) { return memref::LoadOp::create(b, memref, at); }
  void store(Value value, Value memref, ValueRange at) {
    memref::StoreOp::create(b, value, memref, at);
  }

  /// The last bucket is of slots without expert.
  void forBuckets(function_ref<void(Value)> body) {
    b.forEach(b.index(0), b.index(op.experts + 1), 1, body);
  }

  void forSlots(function_ref<void(Value, Value, Value)> body) {
    b.forEach(b.index(0), memref::DimOp::create(b, ids, 0), 1, [&](Value token) {
      b.forEach(b.index(0), b.index(op.topK), 1, [&](Value k) {
        Value id = b.loadIndex(ids, {token, k});
        body(token, k, arith::MinUIOp::create(b, id, b.index(op.experts)));
      });
    });
  }

  /// The number of a bucket, which then is one more.
  Value take(Value bucket) {
    Value number = load(next, bucket);
    store(b.add(number, constant(1)), next, bucket);
    return number;
  }

  /// Replaces the counts by where their buckets start.
  void sumCounts() {
    b.forEach(b.index(0), b.index(op.experts + 1), 1, constant(0),
              [&](Value bucket, MutableArrayRef<Value> total) {
                Value count = load(next, bucket);
                store(total[0], offsets, bucket);
                store(total[0], next, bucket);
                total[0] = b.add(total[0], count);
              });
  }

  void place(Value token, Value k, Value bucket) {
    Value position = take(bucket);
    Value slot = b.add(b.mul(token, b.index(op.topK)), k);
    store(b.convert(slot, i32), slots, b.convert(position, b.getIndexType()));
    Value isNone = b.equal(bucket, b.index(op.experts));
    store(b.select(isNone, constant(-1), position), positions, {token, k});
  }

  KernelBuilder &b;
  const Permute &op;
  Type i32;
  Value ids, offsets, slots, positions, begin, end;
  /// Of each bucket, first how many slots it has, then where the next one goes.
  Value next;
};

} // namespace

std::string Permute::name() const {
  return "permute_" + std::to_string(experts) + "_top" + std::to_string(topK);
}

func::FuncOp Permute::build(OpBuilder &builder, const Chip &chip) const {
  Type i32 = builder.getI32Type();
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto perSlot = MemRefType::get({kDynamic, topK}, i32);
  SmallVector<Type> types{perSlot, MemRefType::get(experts + 1, i32),
                          MemRefType::get(kDynamic, i32), perSlot};
  return defineKernel(builder, chip, name(), types, [&](KernelBuilder &b, ValueRange arguments) {
    PermuteEmitter(b, *this, arguments).emit();
  });
}

} // namespace moec
