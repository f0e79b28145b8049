//===- VerifyStage.cpp - what a stage of the compiler leaves ---------------===//
#include "passes/Passes.h"

#include "dialects/attn/AttnDialect.h"
#include "dialects/moe/MoeDialect.h"
#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace moec {
#define GEN_PASS_DEF_VERIFYSTAGEPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

template <typename... Dialects> bool isOf(Operation *op) {
  return (isa_and_nonnull<Dialects>(op->getDialect()) || ...);
}

bool isInKernel(Operation *op) {
  auto function = op->getParentOfType<FunctionOpInterface>();
  return function && function->hasAttr(rt::LaunchOp::kKernelAttr);
}

bool handlesTensors(Operation *op) {
  auto isTensor = [](Type type) { return isa<TensorType>(type); };
  return llvm::any_of(op->getOperandTypes(), isTensor) ||
         llvm::any_of(op->getResultTypes(), isTensor);
}

/// The sentence that says what is wrong with an operation after the stage, or
/// nothing.
StringRef findFault(Operation *op, Stage stage, bool device) {
  switch (stage) {
  case Stage::raise:
    return isOf<onnx::OnnxDialect>(op) ? "was not raised" : "";
  case Stage::fuse:
    return isOf<onnx::OnnxDialect, moe::MoeDialect, attn::AttnDialect>(op)
               ? "has neither a kernel nor a decomposition"
               : "";
  case Stage::plan:
    if (handlesTensors(op))
      return "handles tensors after they became memory";
    if (isOf<linalg::LinalgDialect, bufferization::BufferizationDialect, tensor::TensorDialect>(op))
      return "was not lowered";
    if (device && isa<memref::LoadOp, memref::StoreOp>(op) && !isInKernel(op))
      return "accesses the device's memory in host code";
    if (isa<memref::AllocOp>(op))
      return isInKernel(op) ? "allocates in a kernel" : "";
    // Scratch memory of a kernel is on the stack: of a size that is known, once.
    if (auto scratch = dyn_cast<memref::AllocaOp>(op); scratch && isInKernel(op))
      return scratch.getType().hasStaticShape() && isa<FunctionOpInterface>(op->getParentOp())
                 ? ""
                 : "allocates stack memory without a bound";
    return hasEffect<MemoryEffects::Allocate>(op) ? "allocates neither in the arena nor on the heap"
                                                  : "";
  case Stage::emit:
    return isOf<LLVM::LLVMDialect>(op) || isa<ModuleOp, rt::WeightOp>(op) ||
                   (isOf<NVVM::NVVMDialect>(op) && isInKernel(op))
               ? ""
               : "was not lowered to the LLVM dialect";
  }
  llvm_unreachable("all stages are listed");
}

struct VerifyStagePass : impl::VerifyStagePassBase<VerifyStagePass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      StringRef fault = findFault(op, stage, device);
      if (fault.empty())
        return WalkResult::advance();
      InFlightDiagnostic diagnostic = op->emitError() << "'" << op->getName() << "' " << fault;
      if (StringRef node = onnxName(op->getLoc()); !node.empty())
        diagnostic << ", from node '" << node << "'";
      signalPassFailure();
      return WalkResult::skip();
    });
    markAllAnalysesPreserved();
  }
};

} // namespace
} // namespace moec
