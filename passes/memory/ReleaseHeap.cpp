//===- ReleaseHeap.cpp - buffers on the heap go with their last owner -----===//
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassManager.h"

namespace moec {
#define GEN_PASS_DEF_RELEASEHEAPPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

struct ReleaseHeapPass : impl::ReleaseHeapPassBase<ReleaseHeapPass> {
  void runOnOperation() override {
    auto isOnHeap = [](memref::AllocOp) { return WalkResult::interrupt(); };
    if (!getOperation()->walk(isOnHeap).wasInterrupted())
      return;
    OpPassManager deallocation(ModuleOp::getOperationName());
    bufferization::buildBufferDeallocationPipeline(deallocation, {});
    if (failed(runPipeline(deallocation, getOperation())))
      signalPassFailure();
  }
};

} // namespace
} // namespace moec
