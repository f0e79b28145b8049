#include "moec/InitAll.h"

#include "dialects/attn/AttnDialect.h"
#include "dialects/moe/MoeDialect.h"
#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtBufferization.h"
#include "dialects/rt/RtDialect.h"
#include "lib/kernels/cpu/Intrinsics.h"
#include "lib/kernels/cuda/NvvmEffects.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "passes/Passes.h"

void moec::registerAllDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<onnx::OnnxDialect, moe::MoeDialect, attn::AttnDialect, rt::RtDialect>();
  rt::registerBufferizableOpInterfaceExternalModels(registry);
  registerIntrinsicEffects(registry);
  cuda::registerNvvmEffects(registry);
}

void moec::registerAllPasses() {
  mlir::registerAllPasses();
  registerMoecPasses();
  registerPipelines();
}
