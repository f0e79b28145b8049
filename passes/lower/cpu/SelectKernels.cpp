//===- SelectKernels.cpp - operations that have a fast kernel get it -------===//
#include "passes/Passes.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lower/cpu/CpuKernels.h"
#include "llvm/ADT/TypeSwitch.h"

namespace moec {
#define GEN_PASS_DEF_SELECTKERNELSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

struct SelectKernelsPass : impl::SelectKernelsPassBase<SelectKernelsPass> {
  using SelectKernelsPassBase::SelectKernelsPassBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    std::optional<Chip> known = parseChip(chip);
    if (!known) {
      getOperation().emitError("no chip is called '") << chip << "'";
      return signalPassFailure();
    }
    std::optional<OperandTypes> operands = OperandTypes::parse(weights, activations);
    if (!operands) {
      getOperation().emitError("weights '")
          << weights << "' or activations '" << activations << "' are not known";
      return signalPassFailure();
    }
    if (!main)
      return;
    CpuKernels kernels(getOperation(), *known, *operands);
    SmallVector<Operation *> operations;
    main.walk([&](Operation *op) { operations.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (Operation *op : operations)
      llvm::TypeSwitch<Operation *>(op)
          .Case<linalg::MatmulOp, moe::CombineOp, moe::GroupedMatmulOp, moe::PermuteOp,
                moe::RouteOp, attn::AttentionOp, attn::CacheAppendOp, attn::LayerNormOp,
                attn::LinearAttentionOp, attn::RmsNormOp, attn::RopeOp>(
              [&](auto op) { (void)selectKernel(kernels, rewriter, op); });
  }
};

} // namespace
} // namespace moec
