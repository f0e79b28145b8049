#include "lib/kernels/cuda/Norm.h"

#include "lib/kernels/cuda/RowFloats.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace moec::cuda {
namespace {

/// Elements of a row that a thread should have, and that it can have at most.
constexpr int64_t kElements = 16, kMostElements = 64;
constexpr int64_t kMostThreads = 512;
/// Warps of a block whose rows are one warp's each.
constexpr int64_t kRowsOfBlock = 4;

class NormEmitter {
public:
  NormEmitter(BlockBuilder &b, const Norm &op, int64_t threads, ValueRange arguments, Value row)
      : b(b), op(op), threads(threads), unit(elementsOfUnit(op.element)), row(row) {
    auto next = [&](bool isPresent = true) { return takeRows(b, arguments, isPresent); };
    x = next();
    skip = next(op.hasSkip);
    scale = next();
    bias = next(static_cast<bool>(op.bias));
    y = next();
    sum = next(op.hasSkip);
    means = next(op.hasStatistics);
    inverses = next(op.hasStatistics);
  }

  void emit() {
    thread = b.remainder(b.thread(), threads);
    Value isAligned = areAligned(b, {x, skip, scale, bias, y, sum});
    // The same for all rows: rows of a width that no unit divides are not.
    auto emitRow = [&](bool byUnits) {
      SmallVector<Value> elements = read(x.row(b, row), op.element, byUnits);
      if (skip)
        addSkip(elements, byUnits);
      normalise(elements, byUnits);
    };
    if (op.width % unit != 0)
      emitRow(/*byUnits=*/false);
    else
      b.ifElse(isAligned, [&] { emitRow(true); }, [&] { emitRow(false); });
  }

private:
  int64_t unitsOfThread() const { return llvm::divideCeil(op.width, unit * threads); }
  /// The first element of a unit of this thread.
  Value columnOf(int64_t number) {
    return b.mul(b.add(thread, b.i32(number * threads)), b.i32(unit));
  }
  /// Whether elements `column` + i are those of a row, for the last threads.
  Value isInside(Value column, int64_t number, int64_t i) {
    bool isSure = ((number + 1) * threads - 1) * unit + i < op.width;
    return isSure ? b.constant(b.getI1Type(), 1) : b.less(b.add(column, b.i32(i)), b.i32(op.width));
  }

  /// This thread's elements of a row or vector in f32, zeros past the last.
  SmallVector<Value> read(Value pointer, Type element, bool byUnits) {
    SmallVector<Value> elements;
    Value zero = b.constant(b.getF32Type(), 0);
    for (int64_t number = 0; number < unitsOfThread(); ++number) {
      Value column = columnOf(number);
      for (int64_t i = 0; i < unit; i += byUnits ? unit : 1) {
        int64_t count = byUnits ? unit : 1;
        SmallVector<Type> types(count, b.getF32Type());
        auto values = b.choose(
            isInside(column, number, i), types,
            [&] {
              Value at = b.at(pointer, b.mul(b.add(column, b.i32(i)), b.i32(bytesOf(element))));
              return loadFloats(b, element, at, count);
            },
            [&] { return SmallVector<Value>(count, zero); });
        llvm::append_range(elements, values);
      }
    }
    return elements;
  }

  /// The sum is rounded, stored, and normalised as it is stored.
  void addSkip(MutableArrayRef<Value> elements, bool byUnits) {
    SmallVector<Value> addends = read(skip.row(b, row), op.element, byUnits);
    for (auto [element, addend] : llvm::zip_equal(elements, addends))
      element = b.convert(b.convert(b.add(element, addend), op.element), b.getF32Type());
    write(elements, sum, byUnits);
  }

  void normalise(ArrayRef<Value> elements, bool byUnits) {
    Type f32 = b.getF32Type();
    Value mean;
    SmallVector<Value> values(elements);
    if (op.isCentered) {
      mean = meanOf(values, [&](Value value, Value sum) { return b.add(sum, value); });
      for (Value &value : values)
        value = b.sub(value, mean);
      maskPast(values);
    }
    Value square =
        meanOf(values, [&](Value value, Value sum) { return b.multiplyAdd(value, value, sum); });
    Value root = math::SqrtOp::create(b, b.add(square, b.constant(f32, op.epsilon)));
    Value inverse = b.div(b.constant(f32, 1), root);
    SmallVector<Value> scales = read(scale.row(b, {}), op.scale, byUnits), addends;
    if (bias)
      addends = read(bias.row(b, {}), op.bias, byUnits);
    for (auto [i, value] : llvm::enumerate(values)) {
      value = b.mul(b.mul(value, inverse), scales[i]);
      if (bias)
        value = b.add(value, addends[i]);
    }
    write(values, y, byUnits);
    if (op.hasStatistics)
      b.ifTrue(b.equal(thread, b.i32(0)), [&] {
        b.store(mean, means.at(b, row));
        b.store(inverse, inverses.at(b, row));
      });
  }

  /// Elements past the last become 0 again.
  void maskPast(MutableArrayRef<Value> values) {
    for (auto [i, value] : llvm::enumerate(values)) {
      int64_t number = i / unit;
      Value inside = isInside(columnOf(number), number, i % unit);
      value = b.select(inside, value, b.constant(b.getF32Type(), 0));
    }
  }

  void write(ArrayRef<Value> values, const RowMemory &memory, bool byUnits) {
    Value pointer = memory.row(b, row);
    for (int64_t number = 0; number < unitsOfThread(); ++number) {
      Value column = columnOf(number);
      for (int64_t i = 0; i < unit; i += byUnits ? unit : 1)
        b.ifTrue(isInside(column, number, i), [&] {
          Value at = b.at(pointer, b.mul(b.add(column, b.i32(i)), b.i32(bytesOf(op.element))));
          storeFloats(b, values.slice(number * unit + i, byUnits ? unit : 1), op.element, at);
        });
    }
  }

  /// The mean of a row of terms, which `accumulate` adds to a sum; one that is 0
  /// changes nothing.
  Value meanOf(ArrayRef<Value> values, function_ref<Value(Value, Value)> accumulate) {
    Value sum = b.constant(b.getF32Type(), 0);
    for (Value value : values)
      sum = accumulate(value, sum);
    return b.div(sumOfWarps(b.foldLanes(sum, Fold::sum)), b.constant(b.getF32Type(), op.width));
  }

  /// A row of one warp may be among other rows of the block, which do not wait.
  Value sumOfWarps(Value sum) {
    int64_t warps = threads / kWarp;
    if (warps == 1)
      return sum;
    // Nobody reads the sums of the pass before any more.
    b.barrier();
    Value memory = b.sharedMemory();
    b.ifTrue(b.equal(b.lane(), b.i32(0)),
             [&] { b.store(sum, b.at(memory, b.mul(b.warp(), b.i32(4)))); });
    b.barrier();
    Value total;
    for (int64_t warp = 0; warp < warps; ++warp) {
      Value next = b.load(b.getF32Type(), b.at(memory, 4 * warp));
      total = total ? b.add(total, next) : next;
    }
    return total;
  }

  BlockBuilder &b;
  const Norm &op;
  int64_t threads, unit;
  RowMemory x, skip, scale, bias, y, sum, means, inverses;
  Value row, thread;
};

} // namespace

int64_t Norm::threads() const {
  int64_t wanted = llvm::PowerOf2Ceil(llvm::divideCeil(width, kElements));
  return std::clamp(wanted, kWarp, kMostThreads);
}

int64_t Norm::rowsOfBlock() const { return threads() == kWarp ? kRowsOfBlock : 1; }

bool Norm::isSupported() const { return width <= kMostElements * kMostThreads; }

func::FuncOp Norm::build(OpBuilder &builder) const {
  int64_t warps = threads() / kWarp;
  BlockShape shape{threads() * rowsOfBlock(), warps == 1 ? 0 : 4 * warps};
  return defineBlockKernel(builder, name(), argumentTypes(builder), shape,
                           [&](BlockBuilder &b, ValueRange arguments, Value block) {
                             if (warps > 1)
                               return NormEmitter(b, *this, threads(), arguments, block).emit();
                             Value row = b.add(b.mul(block, b.i32(kRowsOfBlock)), b.warp());
                             b.ifTrue(b.less(row, b.toI32(b.sizeOf(arguments[0], 0))), [&] {
                               NormEmitter(b, *this, threads(), arguments, row).emit();
                             });
                           });
}

Value Norm::grid(OpBuilder &builder, Location loc, Value rows) const {
  TensorBuilder b(builder, loc);
  return arith::CeilDivUIOp::create(b, rows, b.index(rowsOfBlock()));
}

} // namespace moec::cuda
