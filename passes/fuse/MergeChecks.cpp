//===- MergeChecks.cpp - what is checked is computed once -----------------===//
#include "passes/Passes.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/DenseSet.h"

namespace moec {
#define GEN_PASS_DEF_MERGECHECKSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

/// Computations by operands, attributes and regions.
struct Structure : llvm::DenseMapInfo<Operation *> {
  static unsigned getHashValue(const Operation *op) {
    return OperationEquivalence::computeHash(
        const_cast<Operation *>(op), OperationEquivalence::directHashValue,
        OperationEquivalence::ignoreHashValue, OperationEquivalence::IgnoreLocations);
  }
  static bool isEqual(const Operation *lhs, const Operation *rhs) {
    auto isSpecial = [](const Operation *op) {
      return op == getEmptyKey() || op == getTombstoneKey();
    };
    if (lhs == rhs)
      return true;
    return !isSpecial(lhs) && !isSpecial(rhs) &&
           OperationEquivalence::isEquivalentTo(const_cast<Operation *>(lhs),
                                                const_cast<Operation *>(rhs),
                                                OperationEquivalence::IgnoreLocations);
  }
};

/// Whether checks are all that keeps the computation from being merged with an
/// equal one.
bool onlyChecks(linalg::GenericOp op) {
  bool hasChecks = false;
  WalkResult result = op.getBody()->walk([&](Operation *inner) {
    if (isa<cf::AssertOp>(inner)) {
      hasChecks = true;
      return WalkResult::advance();
    }
    return isMemoryEffectFree(inner) ? WalkResult::advance() : WalkResult::interrupt();
  });
  return hasChecks && op.hasPureTensorSemantics() && !result.wasInterrupted();
}

struct MergeChecksPass : impl::MergeChecksPassBase<MergeChecksPass> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    // In a block, the first precedes the others.
    main.walk([&](Block *block) {
      llvm::DenseSet<Operation *, Structure> known;
      for (Operation &op : llvm::make_early_inc_range(*block)) {
        auto generic = dyn_cast<linalg::GenericOp>(op);
        if (!generic || !onlyChecks(generic))
          continue;
        auto [first, isNew] = known.insert(&op);
        if (isNew)
          continue;
        op.replaceAllUsesWith(*first);
        op.erase();
      }
    });
  }
};

} // namespace
} // namespace moec
