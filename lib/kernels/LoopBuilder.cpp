#include "lib/kernels/LoopBuilder.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec {

void LoopBuilder::forEach(Value from, Value to, int64_t step, function_ref<void(Value)> body) {
  forEach(from, to, step, {}, [&](Value at, MutableArrayRef<Value>) { body(at); });
}

SmallVector<Value> LoopBuilder::forEach(Value from, Value to, int64_t step, ValueRange state,
                                        function_ref<void(Value, MutableArrayRef<Value>)> body) {
  Value stride = arith::ConstantOp::create(*this, getIntegerAttr(from.getType(), step));
  auto loop = scf::ForOp::create(*this, from, to, stride, state);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  SmallVector<Value> carried(loop.getRegionIterArgs());
  body(loop.getInductionVar(), carried);
  if (!carried.empty())
    scf::YieldOp::create(*this, carried);
  return llvm::to_vector_of<Value>(loop.getResults());
}

void LoopBuilder::ifElse(Value condition, function_ref<void()> yes, function_ref<void()> no) {
  auto op = scf::IfOp::create(*this, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  yes();
  setInsertionPointToStart(op.elseBlock());
  no();
}

void LoopBuilder::ifTrue(Value condition, function_ref<void()> yes) {
  auto op = scf::IfOp::create(*this, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  yes();
}

SmallVector<Value> LoopBuilder::choose(Value condition, TypeRange types, Branch yes, Branch no) {
  auto op = scf::IfOp::create(*this, types, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  scf::YieldOp::create(*this, yes());
  setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(*this, no());
  return llvm::to_vector_of<Value>(op.getResults());
}

} // namespace moec
