#include "lib/kernels/cpu/QuantizeRows.h"

#include "lib/kernels/cpu/KernelBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {
namespace {

constexpr double kLargest = 127;
/// Blocks below this are zeros: the reciprocal of their scale may overflow.
constexpr double kLeast = 0x1p-100;

class QuantizeEmitter {
public:
  QuantizeEmitter(KernelBuilder &b, const QuantizeRows &spec, ValueRange arguments)
      : b(b), spec(spec), lanes(b.lanes()), floats(b.vector()),
        integers(b.vectorOf(b.getI32Type())), x(arguments[0]), q(arguments[1]),
        scales(arguments[2]), sums(arguments[3]), begin(arguments[4]), end(arguments[5]) {}

  void emit() {
    b.forEach(begin, end, 1, [&](Value index) {
      row = index;
      int64_t whole = spec.k / spec.block;
      b.forEach(b.index(0), b.index(whole), 1, [&](Value block) { emitBlock(block, spec.block); });
      if (int64_t rest = spec.k % spec.block)
        emitBlock(b.index(whole), rest);
      // What follows the last column.
      for (int64_t at = llvm::alignTo(spec.k, lanes); at < spec.paddedColumns(); at += lanes)
        store(b.constant(integers, 0), b.index(at));
    });
  }

private:
  void emitBlock(Value block, int64_t columns) {
    Value first = b.mul(block, b.index(spec.block));
    Value largest = overVectors(first, columns, b.constant(floats, 0),
                                [&](Value, Value values, Value largest) -> Value {
                                  return b.max(largest, math::AbsFOp::create(b, values));
                                });
    largest = b.maximumOfLanes(largest);
    Type f32 = b.getF32Type();
    Value zero = b.constant(f32, 0), isZero = b.less(largest, b.constant(f32, kLeast));
    Value scale = b.select(isZero, zero, b.div(largest, b.constant(f32, kLargest)));
    Value inverse = b.select(isZero, zero, b.div(b.constant(f32, kLargest), largest));
    inverse = b.broadcast(inverse);
    Value sum = overVectors(first, columns, b.constant(integers, 0),
                            [&](Value column, Value values, Value sum) -> Value {
                              Value rounded = round(b.mul(values, inverse));
                              store(rounded, column);
                              return b.add(sum, rounded);
                            });
    sum = b.sumOfLanes(sum);
    memref::StoreOp::create(b, scale, scales, ValueRange{row, block});
    memref::StoreOp::create(b, sum, sums, ValueRange{row, block});
  }

  /// Folds `body` over the columns from `first` on; columns past the last
  /// are 0.
  Value overVectors(Value first, int64_t columns, Value init,
                    function_ref<Value(Value, Value, Value)> body) {
    int64_t whole = columns / lanes;
    auto op = scf::ForOp::create(b, b.index(0), b.index(whole), b.index(1), init);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(op.getBody());
      Value column = b.add(first, b.mul(op.getInductionVar(), b.index(lanes)));
      Value values = b.loadFloats(x, ValueRange{row, column}, lanes);
      scf::YieldOp::create(b, body(column, values, op.getRegionIterArg(0)));
    }
    int64_t rest = columns % lanes;
    if (!rest)
      return op.getResult(0);
    Value column = b.add(first, b.index(whole * lanes));
    return body(column, b.loadFloats(x, ValueRange{row, column}, rest), op.getResult(0));
  }

  /// The nearest integers; NaN becomes the lowest.
  Value round(Value values) {
    Value rounded = math::RoundEvenOp::create(b, values);
    rounded = arith::MaxNumFOp::create(b, rounded, b.constant(floats, -kLargest));
    rounded = arith::MinNumFOp::create(b, rounded, b.constant(floats, kLargest));
    return arith::FPToSIOp::create(b, integers, rounded);
  }

  void store(Value values, Value column) {
    Value bytes = arith::TruncIOp::create(b, integers.clone(b.getI8Type()), values);
    vector::StoreOp::create(b, bytes, q, ValueRange{row, column});
  }

  KernelBuilder &b;
  const QuantizeRows &spec;
  int64_t lanes;
  VectorType floats, integers;
  Value x, q, scales, sums, begin, end, row;
};

} // namespace

std::string QuantizeRows::name() const {
  return "quantize_" + std::to_string(k) + "_by_" + std::to_string(block);
}

SmallVector<Type> QuantizeRows::resultTypes(Builder &builder) const {
  return {contiguousRows({ShapedType::kDynamic, paddedColumns()}, builder.getI8Type()),
          contiguousRows({ShapedType::kDynamic, blocks()}, builder.getF32Type()),
          contiguousRows({ShapedType::kDynamic, blocks()}, builder.getI32Type())};
}

func::FuncOp QuantizeRows::build(OpBuilder &builder, const Chip &chip) const {
  SmallVector<Type> types{contiguousRows({ShapedType::kDynamic, k}, builder.getF32Type())};
  types.append(resultTypes(builder));
  return defineKernel(builder, chip, name(), types, [&](KernelBuilder &b, ValueRange arguments) {
    QuantizeEmitter(b, *this, arguments).emit();
  });
}

} // namespace moec
