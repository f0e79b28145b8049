//===- PlaceResults.cpp - results are computed where they belong -----------===//
#include "passes/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotModuleBufferize.h"
#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"

namespace moec {
#define GEN_PASS_DEF_PLACERESULTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace mlir::bufferization;

namespace moec {
namespace {

/// The use that hands the memory of `value` on to a result, if it is the only
/// such and all others read before it; sizes are no uses.
OpOperand *handsOn(Value value, const AnalysisState &state) {
  OpOperand *heir = nullptr;
  Operation *last = nullptr;
  Block *block = value.getParentBlock();
  for (OpOperand &use : value.getUses()) {
    if (isa<tensor::DimOp>(use.getOwner()))
      continue;
    Operation *user = block->findAncestorOpInBlock(*use.getOwner());
    last = last && user->isBeforeInBlock(last) ? last : user;
    AliasingValueList aliases = state.getAliasingValues(use);
    if (aliases.getNumAliases() == 0)
      continue;
    if (heir || aliases.getNumAliases() > 1 || user != use.getOwner())
      return nullptr;
    heir = &use;
  }
  return heir && heir->getOwner() == last ? heir : nullptr;
}

/// Whether nobody needs what `value` holds once its memory holds `result`. The
/// memory of a caller is written behind the back of an analysis of tensors: it
/// would not keep a value that is needed later.
bool leadsTo(Value value, Value result, const AnalysisState &state) {
  while (value && value != result) {
    OpOperand *use = handsOn(value, state);
    value = use ? state.getAliasingValues(*use).getAliases()[0].value : Value();
  }
  return value == result;
}

/// The same of the memory that `user` takes over from `empty`.
bool startsAt(Value empty, Operation *user, Value result, const AnalysisState &state) {
  return llvm::any_of(user->getOpOperands(), [&](OpOperand &use) {
    if (use.get() != empty)
      return false;
    AliasingValueList aliases = state.getAliasingValues(use);
    return aliases.getNumAliases() == 1 && leadsTo(aliases.getAliases()[0].value, result, state);
  });
}

/// Fills of different results are different, although they look the same.
void cloneSharedFills(RewriterBase &rewriter, Operation *root) {
  SmallVector<linalg::FillOp> fills;
  root->walk([&](linalg::FillOp fill) { fills.push_back(fill); });
  for (linalg::FillOp fill : fills) {
    SmallVector<OpOperand *> inits;
    for (OpOperand &use : fill->getUses())
      if (auto op = dyn_cast<DestinationStyleOpInterface>(use.getOwner()); op && op.isDpsInit(&use))
        inits.push_back(&use);
    for (OpOperand *init : llvm::drop_begin(inits, inits.empty() ? 0 : 1)) {
      rewriter.setInsertionPoint(fill);
      Operation *clone = rewriter.clone(*fill);
      rewriter.modifyOpInPlace(init->getOwner(), [&] { init->set(clone->getResult(0)); });
    }
  }
}

/// Branches that compute one tensor share a destination, and of that only one use
/// would be replaced: each gets its own.
void cloneSharedDestinations(RewriterBase &rewriter, Operation *root) {
  SmallVector<OpOperand *> inits;
  root->walk([&](tensor::EmptyOp empty) {
    for (OpOperand &use : empty->getUses())
      if (auto op = dyn_cast<DestinationStyleOpInterface>(use.getOwner());
          op && op.isDpsInit(&use) && op->getBlock() != empty->getBlock())
        inits.push_back(&use);
  });
  for (OpOperand *init : inits) {
    rewriter.setInsertionPointAfterValue(init->get());
    Operation *clone = rewriter.clone(*init->get().getDefiningOp());
    rewriter.modifyOpInPlace(init->getOwner(), [&] { init->set(clone->getResult(0)); });
  }
}

struct PlaceResultsPass : impl::PlaceResultsPassBase<PlaceResultsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    IRRewriter rewriter(&getContext());
    cloneSharedFills(rewriter, module);
    cloneSharedDestinations(rewriter, module);
    OneShotBufferizationOptions options;
    options.allowReturnAllocsFromLoops = true;
    options.bufferizeFunctionBoundaries = true;
    OneShotAnalysisState state(module, options);
    llvm::DenseMap<Operation *, Value> places;
    auto extract = [&](RewriterBase &rewriter, SubsetInsertionOpInterface op, tensor::EmptyOp empty,
                       Operation *user) -> Value {
      auto materialize = dyn_cast<MaterializeInDestinationOp>(op.getOperation());
      bool isCallers = materialize && isa<BaseMemRefType>(materialize.getDest().getType());
      if (!isCallers)
        return buildSubsetExtraction(rewriter, op, empty, user);
      if (!startsAt(empty, user, materialize.getSource(), state))
        return {};
      // The memory is one tensor, whichever branch computes it.
      Value &place = places[op];
      if (!place || !DominanceInfo(module).properlyDominates(place, user))
        place = buildSubsetExtraction(rewriter, op, empty, user);
      return place;
    };
    if (failed(analyzeModuleOp(module, state)) ||
        failed(eliminateEmptyTensors(rewriter, module, state, extract)))
      return signalPassFailure();
    // Destinations that remain are shared again.
    DominanceInfo dominance(module);
    eliminateCommonSubExpressions(rewriter, dominance, module);
  }
};

} // namespace
} // namespace moec
