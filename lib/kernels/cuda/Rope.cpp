#include "lib/kernels/cuda/Rope.h"

#include "lib/kernels/cuda/HeadUnits.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moec::cuda {

func::FuncOp Rope::build(OpBuilder &builder) const {
  SmallVector<Type> types = inputTypes(builder);
  types.push_back(outputType());
  return defineBlockKernel(
      builder, name(), types, {kHeadThreads},
      [&](BlockBuilder &b, ValueRange arguments, Value block) { emit(b, arguments, block); });
}

void Rope::emit(BlockBuilder &b, ValueRange arguments, Value block) const {
  HeadRotation rotation(b, *this, arguments.drop_back());
  RowMemory y(b, arguments.back());
  Value rows = b.toI32(b.sizeOf(arguments[0], 0)), tokens = b.toI32(b.sizeOf(arguments[0], 1));
  Value number = b.add(b.mul(block, b.i32(kHeadThreads)), b.thread());
  HeadUnit at(b, number, HeadRotation::units(*this), heads);
  b.ifTrue(b.less(at.row, b.mul(rows, tokens)), [&] {
    Value batch = arith::DivUIOp::create(b, at.row, tokens);
    Value token = arith::RemUIOp::create(b, at.row, tokens);
    rotation.rotate(batch, token, at.head, at.unit, y, y.row(b, {batch, token, at.head}));
  });
}

Value Rope::grid(BlockBuilder &b, ValueRange arguments) const {
  auto sizeOf = [&](int64_t dim) {
    return memref::DimOp::create(b, arguments[0], dim).getResult();
  };
  return grid(b, b.getLoc(), b.mul(sizeOf(0), sizeOf(1)));
}

Value Rope::grid(OpBuilder &builder, Location loc, Value tokens) const {
  TensorBuilder b(builder, loc);
  Value units = b.mul(tokens, b.index(heads * HeadRotation::units(*this)));
  return arith::CeilDivUIOp::create(b, units, b.index(kHeadThreads));
}

} // namespace moec::cuda
