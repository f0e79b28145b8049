#include "passes/lower/KernelSet.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/IR/OperationSupport.h"

using namespace mlir;

namespace moec {

func::FuncOp createKernel(OpBuilder &builder, TypeRange types) {
  SmallVector<Type> arguments(types);
  arguments.append(2, builder.getIndexType());
  OpBuilder::InsertionGuard guard(builder);
  builder.clearInsertionPoint();
  auto kernel = func::FuncOp::create(builder, builder.getUnknownLoc(), "kernel",
                                     builder.getFunctionType(arguments, {}));
  kernel->setAttr(rt::LaunchOp::kKernelAttr, builder.getUnitAttr());
  kernel.setPrivate();
  kernel.addEntryBlock();
  return kernel;
}

unsigned KernelSet::Structure::getHashValue(func::FuncOp kernel) {
  llvm::hash_code hash = hash_value(kernel.getFunctionType());
  // The function itself is left out: kernels are equal under any name.
  kernel.getBody().walk([&](Operation *op) {
    hash = llvm::hash_combine(
        hash, OperationEquivalence::computeHash(op, OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::IgnoreLocations));
  });
  return hash;
}

bool KernelSet::Structure::isEqual(func::FuncOp lhs, func::FuncOp rhs) {
  if (lhs == rhs)
    return true;
  auto isSpecial = [](func::FuncOp op) { return op == getEmptyKey() || op == getTombstoneKey(); };
  return !isSpecial(lhs) && !isSpecial(rhs) && lhs.getFunctionType() == rhs.getFunctionType() &&
         OperationEquivalence::isRegionEquivalentTo(&lhs.getBody(), &rhs.getBody(),
                                                    OperationEquivalence::IgnoreLocations);
}

func::FuncOp KernelSet::add(func::FuncOp kernel, StringRef name) {
  auto [known, isNew] = kernels.insert(kernel);
  if (!isNew) {
    kernel.erase();
    return *known;
  }
  kernel.walk([&](Operation *op) { op->setLoc(UnknownLoc::get(op->getContext())); });
  kernel.setName(name);
  symbols.insert(kernel, Block::iterator(main));
  return kernel;
}

} // namespace moec
