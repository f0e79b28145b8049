#include "lib/kernels/cuda/NvvmEffects.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace moec::cuda {
namespace {

using Effects = SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

/// Copies memory, or waits for other threads: nothing passes it.
template <typename Op>
struct ReadsAndWrites : MemoryEffectOpInterface::ExternalModel<ReadsAndWrites<Op>, Op> {
  void getEffects(Operation *, Effects &effects) const {
    effects.emplace_back(MemoryEffects::Read::get());
    effects.emplace_back(MemoryEffects::Write::get());
  }
};

/// Works on registers alone.
template <typename Op>
struct LeavesMemory : MemoryEffectOpInterface::ExternalModel<LeavesMemory<Op>, Op> {
  void getEffects(Operation *, Effects &) const {}
};

template <template <typename> typename Model, typename... Ops> void attach(MLIRContext *context) {
  (Ops::template attachInterface<Model<Ops>>(*context), ...);
}

} // namespace

void registerNvvmEffects(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, NVVM::NVVMDialect *) {
    attach<ReadsAndWrites, NVVM::Barrier0Op, NVVM::CpAsyncBulkGlobalToSharedClusterOp,
           NVVM::CpAsyncCommitGroupOp, NVVM::CpAsyncOp, NVVM::CpAsyncWaitGroupOp,
           NVVM::FenceMbarrierInitOp, NVVM::FenceProxyOp, NVVM::LdMatrixOp, NVVM::MatchSyncOp,
           NVVM::MBarrierArriveExpectTxOp, NVVM::MBarrierArriveOp, NVVM::MBarrierInitOp,
           NVVM::MBarrierTryWaitParityOp, NVVM::ReduxOp, NVVM::SetMaxRegisterOp, NVVM::ShflOp,
           NVVM::SyncWarpOp, NVVM::VoteSyncOp, NVVM::WgmmaFenceAlignedOp,
           NVVM::WgmmaGroupSyncAlignedOp, NVVM::WgmmaMmaAsyncOp, NVVM::WgmmaWaitGroupSyncOp>(
        context);
    attach<LeavesMemory, NVVM::MmaOp>(context);
  });
}

} // namespace moec::cuda
