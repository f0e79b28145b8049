#include "lib/kernels/cpu/Intrinsics.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace moec {
namespace {

struct NoEffects : MemoryEffectOpInterface::ExternalModel<NoEffects, LLVM::CallIntrinsicOp> {
  void getEffects(Operation *, SmallVectorImpl<MemoryEffects::EffectInstance> &) const {}
};

} // namespace

void registerIntrinsicEffects(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, LLVM::LLVMDialect *) {
    LLVM::CallIntrinsicOp::attachInterface<NoEffects>(*context);
  });
}

} // namespace moec
