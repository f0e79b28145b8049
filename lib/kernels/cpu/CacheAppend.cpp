#include "lib/kernels/cpu/CacheAppend.h"

#include "lib/kernels/cpu/KernelBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {
namespace {

/// Positions of a head that one grid index writes.
constexpr int64_t kPositionsPerBlock = 64;

class CacheAppendEmitter {
public:
  CacheAppendEmitter(KernelBuilder &b, const CacheAppend &op, ValueRange arguments)
      : b(b), op(op), past(arguments[0]), update(arguments[1]),
        lengths(op.hasLengths ? arguments[2] : Value()), present(arguments.drop_back(2).back()),
        begin(arguments.drop_back(1).back()), end(arguments.back()) {}

  void emit() {
    Value size = b.index(kPositionsPerBlock), heads = b.index(op.heads);
    pastRows = memref::DimOp::create(b, past, 2);
    newRows = memref::DimOp::create(b, update, 1);
    Value rows = memref::DimOp::create(b, present, 2);
    Value blocks = arith::CeilDivUIOp::create(b, rows, size);
    Value isInPlace = b.equal(address(past), address(present));
    b.forEach(begin, end, 1, [&](Value index) {
      Value rest = arith::DivUIOp::create(b, index, blocks);
      batch = arith::DivUIOp::create(b, rest, heads);
      head = arith::RemUIOp::create(b, rest, heads);
      length = lengths ? b.loadIndex(lengths, batch) : pastRows;
      Value first = b.mul(arith::RemUIOp::create(b, index, blocks), size);
      Value last = b.min(b.add(first, size), rows);
      // What precedes the new rows, of those that the past has, is there.
      Value kept = b.select(isInPlace, b.min(length, pastRows), b.index(0));
      b.forEach(b.max(first, kept), last, 1, [&](Value row) { emitRow(row, isInPlace); });
    });
  }

private:
  Value address(Value memref) { return memref::ExtractAlignedPointerAsIndexOp::create(b, memref); }

  void emitRow(Value row, Value isInPlace) {
    Value added = b.sub(row, length);
    Value isNew = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, added, newRows);
    b.ifElse(
        isNew, [&] { copy(update, {batch, added, head, b.index(0)}, row); },
        [&] {
          b.ifElse(
              b.less(row, pastRows),
              [&] {
                b.ifElse(
                    isInPlace, [] {}, [&] { copy(past, {batch, head, row, b.index(0)}, row); });
              },
              [&] { copy({}, {}, row); });
        });
  }

  /// Copies a row, or zeros: by vectors, and what is left element by element.
  void copy(Value source, ArrayRef<Value> from, Value row) {
    int64_t lanes = b.lanes(), tail = op.depth % lanes;
    VectorType vector = b.vectorOf(op.element);
    auto copyAt = [&](Value column, bool isVector) {
      SmallVector<Value> at(from), to{batch, head, row, column};
      Value value = b.constant(isVector ? Type(vector) : op.element, 0);
      if (source) {
        at.back() = column;
        value = isVector ? vector::LoadOp::create(b, vector, source, at).getResult()
                         : memref::LoadOp::create(b, source, at).getResult();
      }
      if (isVector)
        vector::StoreOp::create(b, value, present, to);
      else
        memref::StoreOp::create(b, value, present, to);
    };
    b.forEach(b.index(0), b.index(op.depth - tail), lanes,
              [&](Value column) { copyAt(column, /*isVector=*/true); });
    b.forEach(b.index(op.depth - tail), b.index(op.depth), 1,
              [&](Value column) { copyAt(column, /*isVector=*/false); });
  }

  KernelBuilder &b;
  const CacheAppend &op;
  Value past, update, lengths, present, begin, end;
  Value pastRows, newRows, batch, head, length;
};

} // namespace

func::FuncOp CacheAppend::build(OpBuilder &builder, const Chip &chip) const {
  SmallVector<Type> types = inputTypes(builder);
  types.push_back(outputType());
  return defineKernel(builder, chip, name(), types, [&](KernelBuilder &b, ValueRange arguments) {
    CacheAppendEmitter(b, *this, arguments).emit();
  });
}

Value CacheAppend::grid(OpBuilder &builder, Location loc, Value batch, Value positions) const {
  TensorBuilder b(builder, loc);
  Value blocks = arith::CeilDivUIOp::create(b, positions, b.index(kPositionsPerBlock));
  return b.mul(b.mul(batch, b.index(heads)), blocks);
}

} // namespace moec
