//===- OutlineKernels.cpp - every computation becomes a kernel launch -----===//
#include "passes/Passes.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/lower/OutlineHostCode.h"

namespace moec {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

/// Computations of at most this many steps are shape arithmetic: they stay in
/// host code, where a launch would cost more than they do.
constexpr int64_t kHostSteps = 16;

bool isShapeArithmetic(linalg::LinalgOp op) {
  int64_t steps = 1;
  for (int64_t range : op.getStaticLoopRanges()) {
    if (ShapedType::isDynamic(range))
      return false;
    steps *= range;
    if (steps > kHostSteps)
      return false;
  }
  return true;
}

/// The parallel dimension along which most operands are contiguous, if any; of
/// equals the last.
std::optional<unsigned> contiguousDim(linalg::GenericOp op) {
  SmallVector<unsigned> votes(op.getNumLoops());
  for (AffineMap map : op.getIndexingMapsArray())
    if (map.getNumResults() > 0)
      if (auto dim = dyn_cast<AffineDimExpr>(map.getResult(map.getNumResults() - 1)))
        ++votes[dim.getPosition()];
  auto most = std::max_element(votes.rbegin(), votes.rend());
  if (votes.empty() || *most == 0)
    return std::nullopt;
  unsigned dim = votes.rend() - most - 1;
  if (op.getIteratorTypesArray()[dim] != utils::IteratorType::parallel)
    return std::nullopt;
  return dim;
}

/// Orders the loops: the parallel ones first, the contiguous one of them last,
/// then the reductions. Each sum still ascends, whatever the order. With
/// `isElement` all parallel loops are the grid: neighbours compute neighbouring
/// elements. Otherwise the contiguous loop is inside, behind the reductions.
/// Returns the number of grid loops.
unsigned orderLoops(RewriterBase &rewriter, linalg::GenericOp &op, bool isElement) {
  std::optional<unsigned> inner = contiguousDim(op);
  SmallVector<unsigned> parallel, reductions;
  for (auto [dim, type] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (type == utils::IteratorType::reduction)
      reductions.push_back(dim);
    else if (inner != dim)
      parallel.push_back(dim);
  }
  // A lone parallel loop is the grid, unless sums would then walk memory across.
  if (inner && (isElement || (parallel.empty() && reductions.empty()))) {
    parallel.push_back(*inner);
    inner.reset();
  }
  SmallVector<unsigned> order(parallel);
  llvm::append_range(order, reductions);
  if (inner)
    order.push_back(*inner);
  if (!llvm::is_sorted(order)) {
    FailureOr<linalg::GenericOp> interchanged = linalg::interchangeGenericOp(rewriter, op, order);
    if (succeeded(interchanged))
      op = *interchanged;
  }
  return parallel.size();
}

/// The sizes of the first `count` loops.
SmallVector<OpFoldResult> loopSizes(OpBuilder &builder, linalg::LinalgOp op, unsigned count) {
  SmallVector<OpFoldResult> sizes;
  for (Range range : op.createLoopRanges(builder, op.getLoc()))
    sizes.push_back(range.size);
  sizes.truncate(count);
  return sizes;
}

/// The outlined form of one computation: a kernel and what to pass to it.
class KernelBuilder {
public:
  KernelBuilder(linalg::GenericOp op, unsigned gridLoops) : op(op), gridLoops(gridLoops) {}

  /// Builds the kernel, which has no name yet.
  func::FuncOp build(OpBuilder &builder) {
    collectOperands();
    func::FuncOp kernel = createKernel(builder, ValueRange(operands).getTypes());
    Block &entry = kernel.front();
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&entry);
    IRMapping mapping;
    mapping.map(ValueRange(operands), entry.getArguments().drop_back(2));
    cloneConstants(builder, mapping);
    auto clone = cast<linalg::GenericOp>(builder.clone(*op, mapping));
    func::ReturnOp::create(builder, kernel.getLoc());
    toLoops(clone, entry.getArguments().take_back(2));
    return kernel;
  }

  /// Launches `kernel` in place of `op`.
  void launch(OpBuilder &builder, func::FuncOp kernel) {
    builder.setInsertionPoint(op);
    Location loc = op.getLoc();
    OpFoldResult grid = builder.getIndexAttr(1);
    for (OpFoldResult size : loopSizes(builder, op, gridLoops))
      grid = affine::makeComposedFoldedAffineApply(
          builder, loc, builder.getAffineSymbolExpr(0) * builder.getAffineSymbolExpr(1),
          {grid, size});
    size_t outputs = outputMemrefs.size();
    auto launch = rt::LaunchOp::create(builder, loc, TypeRange{}, SymbolRefAttr::get(kernel),
                                       getValueOrCreateConstantIndexOp(builder, loc, grid),
                                       ValueRange(ArrayRef<Value>(operands).drop_back(outputs)),
                                       ValueRange(outputMemrefs));
    launch->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    launch->removeAttr("linalg.memoized_indexing_maps");
    op.erase();
  }

private:
  /// Everything from outside that the computation uses, outputs last.
  void collectOperands() {
    SetVector<Value> inputs, captured;
    SetVector<Value> outputs(llvm::from_range, op.getOutputs());
    getUsedValuesDefinedAbove(op->getRegions(), captured);
    for (Value value :
         llvm::concat<Value>(SmallVector<Value>(op.getInputs()), captured.takeVector()))
      if (!outputs.contains(value)) {
        if (value.getDefiningOp() && value.getDefiningOp()->hasTrait<OpTrait::ConstantLike>())
          constants.insert(value.getDefiningOp());
        else
          inputs.insert(value);
      }
    outputMemrefs = outputs.takeVector();
    operands = inputs.takeVector();
    llvm::append_range(operands, outputMemrefs);
  }

  void cloneConstants(OpBuilder &builder, IRMapping &mapping) {
    for (Operation *constant : constants)
      builder.clone(*constant, mapping);
  }

  /// Replaces `clone` by loops of which the outer ones are one loop over
  /// [begin, end).
  void toLoops(linalg::GenericOp clone, ValueRange range) {
    IRRewriter rewriter(clone);
    Location loc = clone.getLoc();
    SmallVector<OpFoldResult> sizes = loopSizes(rewriter, clone, gridLoops);
    Value step = arith::ConstantIndexOp::create(rewriter, loc, 1);
    auto grid = scf::ForOp::create(rewriter, loc, range[0], range[1], step);
    rewriter.setInsertionPoint(clone);
    linalg::LinalgLoops loops = *linalg::linalgOpToLoops(rewriter, clone);
    rewriter.setInsertionPointToStart(grid.getBody());
    if (gridLoops == 0) {
      // One step, whatever computes it.
      while (grid->getNextNode() != clone)
        grid->getNextNode()->moveBefore(grid.getBody()->getTerminator());
    } else {
      while (grid->getNextNode() != loops.front())
        grid->getNextNode()->moveBefore(grid);
      SmallVector<Value> indices{grid.getInductionVar()};
      if (gridLoops > 1) {
        auto split =
            affine::AffineDelinearizeIndexOp::create(rewriter, loc, grid.getInductionVar(), sizes);
        indices.assign(split.result_begin(), split.result_end());
      }
      Block *body = cast<scf::ForOp>(loops[gridLoops - 1]).getBody();
      for (unsigned i = 0; i < gridLoops; ++i)
        cast<scf::ForOp>(loops[i]).getInductionVar().replaceAllUsesWith(indices[i]);
      body->getTerminator()->erase();
      grid.getBody()->getOperations().splice(grid.getBody()->getTerminator()->getIterator(),
                                             body->getOperations());
      rewriter.eraseOp(loops.front());
    }
    rewriter.eraseOp(clone);
  }

  linalg::GenericOp op;
  unsigned gridLoops;
  SmallVector<Value> operands, outputMemrefs;
  SetVector<Operation *> constants;
};

struct OutlineKernelsPass : impl::OutlineKernelsPassBase<OutlineKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    copiesToGenerics(main);
    SmallVector<linalg::LinalgOp> computations;
    main.walk([&](linalg::LinalgOp op) { computations.push_back(op); });
    KernelSet kernels(getOperation(), main);
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : computations) {
      rewriter.setInsertionPoint(op);
      if (device || !isShapeArithmetic(op)) {
        outline(op, kernels, rewriter);
        continue;
      }
      if (failed(linalg::linalgOpToLoops(rewriter, op)))
        return signalPassFailure();
      rewriter.eraseOp(op);
    }
    if (device && failed(outlineHostCode(main, kernels)))
      signalPassFailure();
  }

  void outline(linalg::LinalgOp op, KernelSet &kernels, RewriterBase &rewriter) {
    auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
    std::string kind = op->getName().stripDialect().str();
    if (!generic)
      generic = *linalg::generalizeNamedOp(rewriter, op);
    unsigned gridLoops = orderLoops(rewriter, generic, device);
    KernelBuilder kernel(generic, gridLoops);
    func::FuncOp built = kernels.add(kernel.build(rewriter), kind);
    kernel.launch(rewriter, built);
  }

  /// Copies of unknown or large size are computations like others.
  void copiesToGenerics(func::FuncOp main) {
    SmallVector<memref::CopyOp> copies;
    main.walk([&](memref::CopyOp copy) { copies.push_back(copy); });
    for (memref::CopyOp copy : copies) {
      OpBuilder builder(copy);
      if (copy.getSource() != copy.getTarget())
        linalg::makeMemRefCopyOp(builder, copy.getLoc(), copy.getSource(), copy.getTarget());
      copy.erase();
    }
  }
};

} // namespace
} // namespace moec
