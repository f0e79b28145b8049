#include "lib/inspect/GraphWalk.h"

#include "dialects/rt/RtDialect.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;

namespace moec::inspect {

StringRef operatorOf(Operation *op) {
  auto node = dyn_cast_or_null<onnx::NodeOp>(op);
  return node ? node.getOpType() : StringRef();
}

void forEachUse(Value value, Operators through, llvm::function_ref<bool(OpOperand &)> visit) {
  SmallVector<Value> work{value};
  llvm::SmallPtrSet<Operation *, 16> followed;
  while (!work.empty()) {
    for (OpOperand &use : work.pop_back_val().getUses()) {
      Operation *user = use.getOwner();
      if (visit(use) && llvm::is_contained(through, operatorOf(user)) &&
          followed.insert(user).second)
        llvm::append_range(work, user->getResults());
    }
  }
}

Operation *sourceOf(Value value, Operators through) {
  Operation *op = value.getDefiningOp();
  while (op && llvm::is_contained(through, operatorOf(op)))
    op = op->getOperand(0).getDefiningOp();
  return op;
}

bool isWeight(Value value) {
  constexpr StringRef views[] = {"Identity", "Cast", "Transpose", "Reshape", "DequantizeLinear"};
  Operation *source = sourceOf(value, views);
  return isa_and_nonnull<rt::LoadWeightOp, onnx::ConstantOp>(source);
}

std::optional<int64_t> integerOf(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseIntElementsAttr>(constant.getValue()) : nullptr;
  if (!elements || elements.getNumElements() != 1)
    return std::nullopt;
  return (*elements.begin()).getSExtValue();
}

} // namespace moec::inspect
