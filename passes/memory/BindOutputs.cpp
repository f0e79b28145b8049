//===- BindOutputs.cpp - results are written where the caller wants them --===//
#include "passes/Passes.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
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

/// Moves `output` and the size arithmetic it depends on to the start of the
/// block, so that its tensor can be computed in place.
void hoist(rt::OutputOp output, Block &entry) {
  SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.omitBlockArguments = true;
  if (failed(getBackwardSlice(output.getOperation(), &slice, options)) ||
      !llvm::all_of(slice, isSizeArithmetic))
    return;
  slice.insert(output);
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
    SmallVector<rt::OutputOp> outputs = bind(main);
    resolveSizes(main);
    for (rt::OutputOp output : outputs)
      hoist(output, main.front());
  }

  SmallVector<rt::OutputOp> bind(func::FuncOp main) {
    SmallVector<rt::OutputOp> outputs;
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
      bufferization::MaterializeInDestinationOp::create(builder, value.getLoc(), TypeRange{}, value,
                                                        output, /*restrict=*/true,
                                                        /*writable=*/true);
      outputs.push_back(output);
      NamedAttrList description(main.getResultAttrDict(index));
      description.set("rt.type", TypeAttr::get(type));
      descriptions.push_back(description.getDictionary(&getContext()));
    }
    func::ReturnOp::create(builder, terminator.getLoc());
    terminator.erase();
    main.setType(builder.getFunctionType(main.getArgumentTypes(), {}));
    main.removeResAttrsAttr();
    main->setAttr("rt.outputs", builder.getArrayAttr(descriptions));
    return outputs;
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
