#include "lib/kernels/LaunchProgram.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace moec {

OwningOpRef<ModuleOp> launchProgram(MLIRContext &context,
                                    function_ref<func::FuncOp(OpBuilder &)> build, unsigned rows,
                                    function_ref<Value(OpBuilder &, Value)> grid,
                                    unsigned outputs) {
  ImplicitLocOpBuilder b(UnknownLoc::get(&context), &context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b);
  b.setInsertionPointToStart(module->getBody());
  func::FuncOp kernel = build(b);
  SmallVector<Type> types;
  for (Type type : kernel.getArgumentTypes().drop_back(2)) {
    auto memref = cast<MemRefType>(type);
    types.push_back(RankedTensorType::get(memref.getShape(), memref.getElementType()));
  }
  SmallVector<Type> results(ArrayRef(types).take_back(outputs));
  types.pop_back_n(outputs);
  auto main = func::FuncOp::create(b, "main", b.getFunctionType(types, results));
  Block *entry = main.addEntryBlock();
  b.setInsertionPointToStart(entry);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value size = tensor::DimOp::create(b, entry->getArgument(rows), zero);
  SmallVector<Value> empties;
  for (Type result : results)
    empties.push_back(tensor::EmptyOp::create(b, cast<RankedTensorType>(result), ValueRange(size)));
  auto launch = rt::LaunchOp::create(b, results, kernel.getSymName(), grid(b, size),
                                     entry->getArguments(), empties);
  func::ReturnOp::create(b, launch.getResults());
  return module;
}

} // namespace moec
