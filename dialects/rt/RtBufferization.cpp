#include "dialects/rt/RtBufferization.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::bufferization;

namespace moec::rt {
namespace {

struct LaunchModel : DstBufferizableOpInterfaceExternalModel<LaunchModel, LaunchOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return !cast<LaunchOp>(op).isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options, BufferizationState &state) const {
    auto launch = cast<LaunchOp>(op);
    auto kernel = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, launch.getKernelAttr());
    SmallVector<Value> operands, inputs, outputs, results;
    for (Value value : llvm::concat<const Value>(SmallVector<Value>(launch.getInputs()),
                                                 SmallVector<Value>(launch.getOutputs()))) {
      if (!isa<TensorType>(value.getType())) {
        operands.push_back(value);
        continue;
      }
      FailureOr<Value> buffer = getBuffer(rewriter, value, options, state);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
    }
    SmallVector<std::pair<Value, Value>> copiesBack;
    for (auto [index, operand] : llvm::enumerate(operands)) {
      bool isOutput = index >= launch.getInputs().size();
      Value argument = operand;
      Type expected = kernel.getArgumentTypes()[index];
      if (needsCopy(operand.getType(), expected)) {
        argument = allocateLike(rewriter, op->getLoc(), operand);
        if (isOutput)
          copiesBack.push_back({argument, operand});
        else
          memref::CopyOp::create(rewriter, op->getLoc(), operand, argument);
      }
      if (argument.getType() != expected && isa<MemRefType>(expected))
        argument = memref::CastOp::create(rewriter, op->getLoc(), expected, argument);
      (isOutput ? outputs : inputs).push_back(argument);
      if (isOutput && isa<TensorType>(launch->getOperand(index + 1).getType()))
        results.push_back(operand);
    }
    auto buffered = LaunchOp::create(rewriter, op->getLoc(), TypeRange{}, launch.getKernelAttr(),
                                     launch.getGrid(), inputs, outputs);
    buffered->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    for (auto [from, to] : copiesBack)
      memref::CopyOp::create(rewriter, op->getLoc(), from, to);
    replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }

private:
  /// Whether a kernel cannot take the layout of a buffer: its own states
  /// strides that are not known to be the buffer's.
  static bool needsCopy(Type buffer, Type argument) {
    auto from = dyn_cast<MemRefType>(buffer), to = dyn_cast<MemRefType>(argument);
    if (!from || !to || from.getLayout() == to.getLayout())
      return false;
    auto covers = [](int64_t lhs, int64_t rhs) { return lhs == rhs || ShapedType::isDynamic(rhs); };
    auto [fromStrides, fromOffset] = from.getStridesAndOffset();
    auto [toStrides, toOffset] = to.getStridesAndOffset();
    return !covers(fromOffset, toOffset) || !llvm::equal(fromStrides, toStrides, covers);
  }

  /// A contiguous buffer of the same sizes.
  static Value allocateLike(RewriterBase &rewriter, Location loc, Value buffer) {
    auto type = cast<MemRefType>(buffer.getType());
    SmallVector<Value> sizes;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (type.isDynamicDim(dim))
        sizes.push_back(memref::DimOp::create(rewriter, loc, buffer, dim));
    return memref::AllocOp::create(rewriter, loc,
                                   MemRefType::get(type.getShape(), type.getElementType()), sizes);
  }
};

struct LoadWeightModel : BufferizableOpInterface::ExternalModel<LoadWeightModel, LoadWeightOp> {
  bool bufferizesToAllocation(Operation *, Value) const { return false; }
  bool isWritable(Operation *, Value, const AnalysisState &) const { return false; }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &,
                          BufferizationState &) const {
    auto load = cast<LoadWeightOp>(op);
    if (isa<MemRefType>(load.getType()))
      return success();
    auto type = cast<RankedTensorType>(load.getType());
    auto buffer = LoadWeightOp::create(rewriter, op->getLoc(),
                                       MemRefType::get(type.getShape(), type.getElementType()),
                                       load.getWeightAttr());
    replaceOpWithBufferizedValues(rewriter, op, buffer.getResult());
    return success();
  }
};

} // namespace

void registerBufferizableOpInterfaceExternalModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, RtDialect *) {
    LaunchOp::attachInterface<LaunchModel>(*context);
    LoadWeightOp::attachInterface<LoadWeightModel>(*context);
  });
}

} // namespace moec::rt
