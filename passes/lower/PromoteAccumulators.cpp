#include "passes/lower/PromoteAccumulators.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moec {
namespace {

/// The load of the element that `store` writes, if the loop accesses the memref
/// nowhere else and the element is the same in every iteration.
memref::LoadOp accumulatorOf(memref::StoreOp store, scf::ForOp loop) {
  auto isInvariant = [&](Value v) { return loop.isDefinedOutsideOfLoop(v); };
  if (!isInvariant(store.getMemref()) || !llvm::all_of(store.getIndices(), isInvariant))
    return nullptr;
  memref::LoadOp load;
  for (Operation *user : store.getMemref().getUsers()) {
    if (user == store || !loop->isProperAncestor(user))
      continue;
    auto other = dyn_cast<memref::LoadOp>(user);
    if (load || !other || other->getBlock() != loop.getBody() || !other->isBeforeInBlock(store) ||
        !llvm::equal(other.getIndices(), store.getIndices()))
      return nullptr;
    load = other;
  }
  return load;
}

} // namespace

void promoteAccumulators(RewriterBase &rewriter, scf::ForOp loop) {
  SmallVector<memref::StoreOp> stores(loop.getBody()->getOps<memref::StoreOp>());
  for (memref::StoreOp store : stores) {
    memref::LoadOp load = accumulatorOf(store, loop);
    if (!load)
      continue;
    rewriter.setInsertionPoint(loop);
    Value first =
        memref::LoadOp::create(rewriter, load.getLoc(), load.getMemref(), load.getIndices());
    auto yielded = [&](OpBuilder &, Location, ArrayRef<BlockArgument> carried) {
      rewriter.replaceOp(load, carried.front());
      return SmallVector<Value>{store.getValue()};
    };
    loop = cast<scf::ForOp>(*loop.replaceWithAdditionalYields(
        rewriter, first, /*replaceInitOperandUsesInLoop=*/false, yielded));
    rewriter.setInsertionPointAfter(loop);
    memref::StoreOp::create(rewriter, store.getLoc(), loop.getResults().back(), store.getMemref(),
                            store.getIndices());
    rewriter.eraseOp(store);
  }
}

} // namespace moec
