//===- SelectCudaKernels.cpp - operations that have a kernel of blocks get it -===//
#include "passes/Passes.h"

#include "lib/kernels/cuda/BlockBuilder.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lower/cuda/CudaKernels.h"
#include "llvm/ADT/TypeSwitch.h"

namespace moec {
#define GEN_PASS_DEF_SELECTCUDAKERNELSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

struct SelectCudaKernelsPass : impl::SelectCudaKernelsPassBase<SelectCudaKernelsPass> {
  using SelectCudaKernelsPassBase::SelectCudaKernelsPassBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    std::optional<OperandTypes> operands = OperandTypes::parse(weights, activations);
    if (!operands || operands->activations == OperandTypes::Activations::int8) {
      getOperation().emitError("no kernel of blocks has weights '")
          << weights << "' and activations '" << activations << "'";
      return signalPassFailure();
    }
    std::optional<CudaChip> known = parseCudaChip(chip);
    if (!known) {
      getOperation().emitError("no chip is called '") << chip << "'";
      return signalPassFailure();
    }
    if (!main)
      return;
    CudaKernels kernels(getOperation(), *known, *operands);
    IRRewriter rewriter(&getContext());
    // First what takes several operations.
    SmallVector<attn::AttentionOp> attentions;
    main.walk([&](attn::AttentionOp op) { attentions.push_back(op); });
    for (attn::AttentionOp op : attentions)
      (void)selectHeadUpdate(kernels, rewriter, op);
    SmallVector<Operation *> operations;
    main.walk([&](Operation *op) { operations.push_back(op); });
    for (Operation *op : operations)
      llvm::TypeSwitch<Operation *>(op)
          .Case<linalg::MatmulOp, moe::CombineOp, moe::GroupedMatmulOp, moe::PermuteOp,
                moe::RouteOp, attn::AttentionOp, attn::CacheAppendOp, attn::LayerNormOp,
                attn::RmsNormOp, attn::RopeOp>(
              [&](auto op) { (void)selectKernel(kernels, rewriter, op); });
  }
};

} // namespace

void CudaKernels::declareSharedMemory() {
  ModuleOp module = getModule();
  if (module.lookupSymbol(cuda::kSharedMemory))
    return;
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  cuda::declareSharedMemory(builder, builder.getUnknownLoc());
}

} // namespace moec
