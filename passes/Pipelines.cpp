//===- Pipelines.cpp - the compiler, stage by stage ----------------------===//
#include "passes/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace moec {
namespace {

enum class Scope { everything, hostCode };

void clean(OpPassManager &pm, Scope scope) {
  pm.addPass(createCleanPass({scope == Scope::everything}));
}

struct TargetOptions : PassPipelineOptions<TargetOptions> {
  Option<std::string> name{*this, "target", llvm::cl::desc("cpu or cuda"), llvm::cl::init("cpu")};
  Option<std::string> chip{*this, "chip", llvm::cl::desc("what to generate code for"),
                           llvm::cl::init("native")};
  Option<std::string> weights{*this, "weights", llvm::cl::desc("what float matrices become"),
                              llvm::cl::init("keep")};
  Option<std::string> activations{*this, "activations",
                                  llvm::cl::desc("what rows of products may be rounded to")};

  Target target() const { return {name, chip, weights, activations}; }
};

template <void (*build)(OpPassManager &, const Target &)>
void registerStage(StringRef name, StringRef description) {
  PassPipelineRegistration<TargetOptions>(
      name, description,
      [](OpPassManager &pm, const TargetOptions &options) { build(pm, options.target()); });
}

} // namespace

//===----------------------------------------------------------------------===//
// Raise: an ONNX graph becomes tensors, moe and attn.
//===----------------------------------------------------------------------===//

void buildRaisePipeline(OpPassManager &pm) {
  pm.addPass(createRaiseOnnxPass());
  clean(pm, Scope::everything);
  pm.addPass(createVerifyStagePass({Stage::raise}));
}

//===----------------------------------------------------------------------===//
// Fuse: tensors in, tensors out, fewer and larger computations.
//===----------------------------------------------------------------------===//

void buildFusePipeline(OpPassManager &pm, const Target &target) {
  // Caches are found by dataflow, which later stages take apart.
  pm.addPass(createDetectStatePass());
  // What each layer checks of the same lengths is checked once.
  pm.addPass(createMergeChecksPass());
  // Rows of one expert are multiplied together.
  pm.addPass(createScheduleExpertsPass());
  clean(pm, Scope::everything);
  if (target.isDevice())
    pm.addPass(createSelectCudaKernelsPass({target.chip, target.weights, target.activations}));
  else
    pm.addPass(createSelectKernelsPass({target.chip, target.weights, target.activations}));
  // What no kernel computes is computed by its decomposition.
  pm.addPass(createDecomposePass());
  // Shape arithmetic folds first: what is static decides what can fuse.
  clean(pm, Scope::everything);
  pm.addPass(createFuseElementwisePass());
  clean(pm, Scope::hostCode);
  pm.addPass(createVerifyStagePass({Stage::fuse}));
}

//===----------------------------------------------------------------------===//
// Plan: tensors become memory, computations become kernel launches.
//===----------------------------------------------------------------------===//

void buildPlanPipeline(OpPassManager &pm, const Target &target) {
  // Results are computed where the caller wants them; sizes come first.
  pm.addPass(createBindOutputsPass());
  clean(pm, Scope::hostCode);
  // A result's chain of destinations starts in the caller's memory.
  pm.addPass(createPlaceResultsPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  // A loop may carry tensors that grow.
  bufferize.allowReturnAllocsFromLoops = true;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  pm.addPass(memref::createResolveRankedShapeTypeResultDimsPass());
  clean(pm, Scope::hostCode);
  // A buffer allocated once is not allocated in every iteration.
  pm.addNestedPass<func::FuncOp>(bufferization::createBufferLoopHoistingPass());
  if (target.isDevice())
    pm.addPass(createBindConstantsPass());
  pm.addPass(createOutlineKernelsPass({target.isDevice()}));
  clean(pm, Scope::everything);
  // Sizes that follow from the inputs share one arena; the others the heap.
  pm.addPass(createPlanMemoryPass());
  clean(pm, Scope::hostCode);
  pm.addPass(createReleaseHeapPass());
  pm.addPass(createVerifyStagePass({Stage::plan, target.isDevice()}));
}

//===----------------------------------------------------------------------===//
// Emit: kernels and host code in the LLVM dialect, behind the module ABI.
//===----------------------------------------------------------------------===//

void buildEmitPipeline(OpPassManager &pm, const Target &target) {
  // Narrow floats compute in f32 and round where the IR says so.
  arith::ArithEmulateUnsupportedFloatsOptions narrow;
  narrow.sourceTypeStrs = {"bf16", "f16"};
  narrow.targetTypeStr = "f32";
  pm.addPass(arith::createArithEmulateUnsupportedFloats(narrow));
  math::MathExtendToSupportedTypesOptions extend;
  extend.extraTypeStrs = {"f32", "f64"};
  extend.targetTypeStr = "f32";
  pm.addPass(math::createMathExtendToSupportedTypes(extend));
  pm.addPass(createLowerMathPass({target.isDevice()}));

  pm.addPass(createLowerHostPass());
  pm.addPass(createLowerKernelSignaturesPass());

  pm.addPass(memref::createExpandOpsPass());
  pm.addPass(createLowerExpandShapePass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createLowerAssertsPass());

  ConvertVectorToLLVMPassOptions vectors;
  vectors.x86Vector = !target.isDevice();
  pm.addPass(createConvertVectorToLLVMPass(vectors));
  pm.addPass(arith::createArithExpandOpsPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  if (target.isDevice())
    pm.addPass(createConvertNVVMToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createVerifyStagePass({Stage::emit}));
}

void registerPipelines() {
  PassPipelineRegistration<>("moec-raise", "raise an ONNX graph", buildRaisePipeline);
  registerStage<buildFusePipeline>("moec-fuse", "select kernels, fuse tensor computations");
  registerStage<buildPlanPipeline>("moec-plan", "bufferise, outline kernels, plan memory");
  registerStage<buildEmitPipeline>("moec-emit", "lower to the LLVM dialect");
}

} // namespace moec
