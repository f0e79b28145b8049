#include "lib/kernels/cuda/CacheAppend.h"

#include "lib/kernels/cuda/HeadUnits.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moec::cuda {
namespace {

/// Blocks that copy the past where it has to be: as many as occupy a GPU.
constexpr int64_t kCopyBlocks = 1024;

class CacheAppendEmitter {
public:
  CacheAppendEmitter(BlockBuilder &b, const CacheAppend &op, ValueRange arguments, Value block,
                     Value blocks)
      : b(b), op(op), copy(op.element, op.depth), past(b, arguments[0]), update(b, arguments[1]),
        present(b, arguments.back()), pastRows(sizeOf(arguments[0], 2)),
        newRows(sizeOf(arguments[1], 1)), batches(sizeOf(arguments.back(), 0)),
        rows(sizeOf(arguments.back(), 2)), block(block), blocks(blocks) {
    if (op.hasLengths)
      lengths = RowMemory(b, arguments[2]);
    isInPlace = b.equal(address(arguments[0]), address(arguments.back()));
    if (op.rope) {
      SmallVector<Value> inputs{arguments[1]};
      llvm::append_range(inputs, arguments.drop_back().drop_front(op.hasLengths ? 3 : 2));
      rotation.emplace(b, *op.rope, inputs);
    }
  }

  void emit(int64_t units) {
    append(units);
    // Rows that the past has are there where it is.
    Value first = b.select(isInPlace, pastRows, b.i32(0));
    b.ifTrue(b.less(first, rows), [&] { keep(first); });
  }

private:
  Value sizeOf(Value memref, unsigned dim) { return b.toI32(b.sizeOf(memref, dim)); }
  Value address(Value memref) { return memref::ExtractAlignedPointerAsIndexOp::create(b, memref); }
  Value lengthOf(Value batch) {
    return lengths ? b.toI32(b.load(b.getI64Type(), lengths.at(b, {batch}))) : pastRows;
  }

  /// Writes this thread's unit of a new row, unless it would lie past the last.
  void append(int64_t units) {
    Value number = b.add(b.mul(block, b.i32(kHeadThreads)), b.thread());
    HeadUnit at(b, number, units, op.heads);
    b.ifTrue(b.less(at.row, b.mul(batches, newRows)), [&] {
      Value batch = arith::DivUIOp::create(b, at.row, newRows);
      Value added = arith::RemUIOp::create(b, at.row, newRows);
      Value row = b.add(lengthOf(batch), added);
      b.ifTrue(b.less(row, rows), [&] {
        Value destination = present.row(b, {batch, at.head, row});
        if (rotation)
          rotation->rotate(batch, added, at.head, at.unit, present, destination);
        else
          copy.copy(b, update.row(b, {batch, added, at.head}), destination, at.unit,
                    areAligned(b, {update, present}));
      });
    });
  }

  /// Writes what is not new from row `first` of the present on: the past, and
  /// zeros behind it.
  void keep(Value first) {
    int64_t units = copy.units();
    Value span = b.sub(rows, first);
    Value all = b.mul(b.mul(b.toI64(batches), b.toI64(span)), b.i64(op.heads * units));
    Value start = b.add(b.mul(b.toI64(block), b.i64(kHeadThreads)), b.toI64(b.thread()));
    Value stride = b.mul(b.toI64(blocks), b.i64(kHeadThreads));
    // None if this thread begins past the end.
    Value steps =
        arith::DivSIOp::create(b, b.add(b.sub(all, start), b.sub(stride, b.i64(1))), stride);
    Value isAligned = areAligned(b, {past, present});
    b.forEach(b.i64(0), steps, 1, [&](Value step) {
      Value number = b.add(start, b.mul(step, stride));
      Value unit = b.toI32(b.remainder(number, units)), row = b.toI32(b.divided(number, units));
      Value position = b.add(first, arith::RemUIOp::create(b, row, span));
      Value head = arith::DivUIOp::create(b, row, span);
      Value batch = b.divided(head, op.heads);
      head = b.remainder(head, op.heads);
      Value isNew = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                          b.sub(position, lengthOf(batch)), newRows);
      Value destination = present.row(b, {batch, head, position});
      b.ifElse(
          isNew, [] {},
          [&] {
            b.ifElse(
                b.less(position, pastRows),
                [&] {
                  copy.copy(b, past.row(b, {batch, head, position}), destination, unit, isAligned);
                },
                [&] { copy.copy(b, {}, destination, unit, isAligned); });
          });
    });
  }

  BlockBuilder &b;
  const CacheAppend &op;
  HeadCopy copy;
  RowMemory past, update, lengths, present;
  Value pastRows, newRows, batches, rows, block, blocks, isInPlace;
  std::optional<HeadRotation> rotation;
};

} // namespace

int64_t CacheAppend::units() const {
  return rope ? HeadRotation::units(*rope) : HeadCopy(element, depth).units();
}

std::string CacheAppend::name() const {
  return rope ? "rope_" + CacheAppendSpec::name() : CacheAppendSpec::name();
}

SmallVector<Type> CacheAppend::inputTypes(Builder &builder) const {
  SmallVector<Type> types = CacheAppendSpec::inputTypes(builder);
  if (rope)
    llvm::append_range(types, ArrayRef(rope->inputTypes(builder)).drop_front());
  return types;
}

func::FuncOp CacheAppend::build(OpBuilder &builder) const {
  SmallVector<Type> types = inputTypes(builder);
  types.push_back(outputType());
  return defineBlockKernel(builder, name(), types, {kHeadThreads},
                           [&](BlockBuilder &b, ValueRange arguments, Value block) {
                             emit(b, arguments, block, b.toI32(grid(b, arguments)));
                           });
}

void CacheAppend::emit(BlockBuilder &b, ValueRange arguments, Value block, Value blocks) const {
  CacheAppendEmitter(b, *this, arguments, block, blocks).emit(units());
}

Value CacheAppend::grid(BlockBuilder &b, ValueRange arguments) const {
  Value update = arguments[1], present = arguments.back();
  auto sizeOf = [&](Value memref, int64_t dim) {
    return memref::DimOp::create(b, memref, dim).getResult();
  };
  return grid(b, b.getLoc(), sizeOf(present, 0), sizeOf(present, 2), sizeOf(update, 1));
}

Value CacheAppend::grid(OpBuilder &builder, Location loc, Value batch, Value positions,
                        Value added) const {
  TensorBuilder b(builder, loc);
  auto blocks = [&](Value rows, int64_t unitsOfRow) {
    Value units = b.mul(b.mul(batch, rows), b.index(heads * unitsOfRow));
    return arith::CeilDivUIOp::create(b, units, b.index(kHeadThreads)).getResult();
  };
  Value all = blocks(positions, HeadCopy(element, depth).units());
  return b.max(blocks(added, units()), b.min(all, b.index(kCopyBlocks)));
}

} // namespace moec::cuda
