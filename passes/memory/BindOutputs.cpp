//===- BindOutputs.cpp - results are written where the caller wants them --===//
#include "passes/Passes.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace moec {
#define GEN_PASS_DEF_BINDOUTPUTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

/// State may be a part of a larger buffer, so its strides are known at run time,
/// but for the last: rows are contiguous.
MemRefType outputType(RankedTensorType type, bool isState) {
  if (!isState)
    return MemRefType::get(type.getShape(), type.getElementType());
  SmallVector<int64_t> strides(type.getRank(), ShapedType::kDynamic);
  strides.back() = 1;
  return MemRefType::get(type.getShape(), type.getElementType(),
                         StridedLayoutAttr::get(type.getContext(), 0, strides));
}

/// Whether an operation only computes sizes, so that it can run early.
bool isSizeArithmetic(Operation *op) {
  return isPure(op) && op->getNumRegions() == 0 &&
         (op->getNumOperands() == 0 || isa<tensor::DimOp>(op) ||
          !isa<RankedTensorType>(op->getResult(0).getType()));
}

/// Moves the memory of an output and the size arithmetic it depends on to the start
/// of the block, so that its tensor can be computed in place.
void hoist(Operation *memory, Block &entry) {
  SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.omitBlockArguments = true;
  auto isEarly = [](Operation *op) { return isa<rt::OutputOp>(op) || isSizeArithmetic(op); };
  if (failed(getBackwardSlice(memory, &slice, options)) || !llvm::all_of(slice, isEarly))
    return;
  slice.insert(memory);
  Operation *last = nullptr;
  for (Operation *op : slice) {
    if (last)
      op->moveAfter(last);
    else
      op->moveBefore(&entry, entry.begin());
    last = op;
  }
}

struct BindOutputsPass : impl::BindOutputsPassBase<BindOutputsPass> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    SmallVector<Operation *> memories = bind(main);
    resolveSizes(main);
    for (Operation *memory : memories)
      hoist(memory, main.front());
  }

  /// Returns what defines the memory of each result.
  SmallVector<Operation *> bind(func::FuncOp main) {
    SmallVector<Operation *> memories;
    auto terminator = cast<func::ReturnOp>(main.front().getTerminator());
    OpBuilder builder(terminator);
    SmallVector<Attribute> descriptions;
    for (auto [index, value] : llvm::enumerate(terminator.getOperands())) {
      auto type = cast<RankedTensorType>(value.getType());
      bool isState = static_cast<bool>(main.getResultAttr(index, "rt.state"));
      SmallVector<Value> sizes;
      for (int64_t dim = 0; dim < type.getRank(); ++dim)
        if (type.isDynamicDim(dim))
          sizes.push_back(tensor::DimOp::create(builder, value.getLoc(), value, dim));
      auto output = rt::OutputOp::create(builder, value.getLoc(), outputType(type, isState),
                                         builder.getI32IntegerAttr(index), sizes);
      Value memory = output;
      // What is reshaped at the end is computed as it is: the memory has both shapes.
      if (auto expand = value.getDefiningOp<tensor::ExpandShapeOp>(); expand && !isState) {
        value = expand.getSrc();
        memory = memref::CollapseShapeOp::create(builder, value.getLoc(), memory,
                                                 expand.getReassociationIndices());
      }
      bufferization::MaterializeInDestinationOp::create(builder, value.getLoc(), TypeRange{}, value,
                                                        memory, /*restrict=*/true,
                                                        /*writable=*/true);
      memories.push_back(memory.getDefiningOp());
      NamedAttrList description(main.getResultAttrDict(index));
      description.set("rt.type", TypeAttr::get(type));
      descriptions.push_back(description.getDictionary(&getContext()));
    }
    func::ReturnOp::create(builder, terminator.getLoc());
    terminator.erase();
    main.setType(builder.getFunctionType(main.getArgumentTypes(), {}));
    main.removeResAttrsAttr();
    main->setAttr("rt.outputs", builder.getArrayAttr(descriptions));
    return memories;
  }

  /// Expresses sizes by the dimensions of the inputs where that is possible.
  void resolveSizes(func::FuncOp main) {
    RewritePatternSet patterns(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
    tensor::DimOp::getCanonicalizationPatterns(patterns, &getContext());
    (void)applyPatternsGreedily(main, std::move(patterns));
  }
};

} // namespace
} // namespace moec
