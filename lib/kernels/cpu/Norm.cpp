#include "lib/kernels/cpu/Norm.h"

#include "lib/kernels/KernelArguments.h"
#include "lib/kernels/cpu/KernelBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {
namespace {

class NormEmitter {
public:
  NormEmitter(KernelBuilder &b, const Norm &op, ValueRange arguments) : b(b), op(op) {
    auto next = [&](bool isPresent = true) { return takeArgument(arguments, isPresent); };
    x = next();
    scale = next();
    bias = next(static_cast<bool>(op.bias));
    y = next();
    means = next(op.hasStatistics);
    inverses = next(op.hasStatistics);
    begin = next();
    end = next();
  }

  void emit() {
    b.forEach(begin, end, 1, [&](Value index) {
      row = index;
      emitRow();
    });
  }

private:
  void emitRow() {
    Value mean;
    if (op.isCentered)
      mean = meanOf([&](Value value, Value sum) { return b.add(sum, value); });
    Value center = mean ? b.broadcast(mean) : Value();
    Value square = meanOf([&](Value value, Value sum) {
      value = center ? b.sub(value, center) : value;
      return b.multiplyAdd(value, value, sum);
    });
    Type f32 = b.getF32Type();
    Value root = math::SqrtOp::create(b, b.add(square, b.constant(f32, op.epsilon)));
    Value inverse = b.div(b.constant(f32, 1), root), factor = b.broadcast(inverse);
    b.forVectors(op.width, [&](Value column, int64_t count) {
      Value value = b.loadFloats(x, {row, column}, count);
      value = b.mul(center ? b.sub(value, center) : value, factor);
      value = b.mul(value, b.loadFloats(scale, column, count));
      if (bias)
        value = b.add(value, b.loadFloats(bias, column, count));
      b.storeFloats(value, y, {row, column}, count);
    });
    if (op.hasStatistics) {
      memref::StoreOp::create(b, mean, means, row);
      memref::StoreOp::create(b, inverse, inverses, row);
    }
  }

  /// The mean of a row of terms, which `accumulate` adds to a sum.
  Value meanOf(function_ref<Value(Value, Value)> accumulate) {
    int64_t lanes = b.lanes(), step = Norm::kSums * lanes;
    int64_t whole = op.width - op.width % step;
    SmallVector<Value> sums(Norm::kSums, b.constant(b.vector(), 0));
    sums = b.forEach(b.index(0), b.index(whole), step, sums,
                     [&](Value first, MutableArrayRef<Value> sums) {
                       for (auto [i, sum] : llvm::enumerate(sums)) {
                         Value column = b.add(first, b.index(i * lanes));
                         sum = accumulate(b.loadFloats(x, {row, column}, lanes), sum);
                       }
                     });
    for (int64_t column = whole; column < op.width; column += lanes) {
      int64_t count = std::min(lanes, op.width - column);
      Value &sum = sums[(column - whole) / lanes];
      Value next = accumulate(b.loadFloats(x, {row, b.index(column)}, count), sum);
      if (count < lanes) {
        Value inside = vector::ConstantMaskOp::create(b, b.vectorOf(b.getI1Type()), count);
        next = b.select(inside, next, sum);
      }
      sum = next;
    }
    Value all = b.sumOfLanes(b.add(b.add(sums[0], sums[1]), b.add(sums[2], sums[3])));
    return b.div(all, b.constant(b.getF32Type(), op.width));
  }

  KernelBuilder &b;
  const Norm &op;
  Value x, scale, bias, y, means, inverses, begin, end;
  Value row;
};

} // namespace

func::FuncOp Norm::build(OpBuilder &builder, const Chip &chip) const {
  return defineKernel(
      builder, chip, name(), argumentTypes(builder),
      [&](KernelBuilder &b, ValueRange arguments) { NormEmitter(b, *this, arguments).emit(); });
}

} // namespace moec
