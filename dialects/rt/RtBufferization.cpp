#include "dialects/rt/RtBufferization.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

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
    SmallVector<Value> inputs, outputs, results;
    auto toBuffers = [&](OperandRange values, SmallVectorImpl<Value> &buffers) {
      for (Value value : values) {
        if (!isa<TensorType>(value.getType())) {
          buffers.push_back(value);
          continue;
        }
        FailureOr<Value> buffer = getBuffer(rewriter, value, options, state);
        if (failed(buffer))
          return failure();
        buffers.push_back(*buffer);
      }
      return success();
    };
    if (failed(toBuffers(launch.getInputs(), inputs)) ||
        failed(toBuffers(launch.getOutputs(), outputs)))
      return failure();
    for (auto [output, buffer] : llvm::zip(launch.getOutputs(), outputs))
      if (isa<TensorType>(output.getType()))
        results.push_back(buffer);
    auto buffered = LaunchOp::create(rewriter, op->getLoc(), TypeRange{}, launch.getKernelAttr(),
                                     launch.getGrid(), inputs, outputs);
    buffered->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
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
