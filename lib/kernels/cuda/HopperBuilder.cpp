#include "lib/kernels/cuda/HopperBuilder.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace moec::cuda {

void HopperBuilder::initBarrier(Value barrier, int64_t arrivals) {
  NVVM::MBarrierInitOp::create(*this, barrier, i32(arrivals), Value());
}
void HopperBuilder::publishBarriers() { NVVM::FenceMbarrierInitOp::create(*this); }

void HopperBuilder::arrive(Value barrier) {
  NVVM::MBarrierArriveOp::create(*this, getI64Type(), barrier, Value());
}
void HopperBuilder::arriveExpecting(Value barrier, Value bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(*this, Type(), barrier, bytes, NVVM::MemScopeKind::CTA,
                                         /*relaxed=*/false, /*predicate=*/Value());
}
void HopperBuilder::wait(Value barrier, Value parity) {
  // As long as the hardware likes to wait at once.
  constexpr int64_t kTicks = 0x989680;
  NVVM::MBarrierTryWaitParityOp::create(*this, barrier, parity, i32(kTicks));
}

void HopperBuilder::copyBulk(Value shared, Value global, Value bytes, Value barrier) {
  // A block is a cluster of its own; only newer PTX has copies to a block.
  constexpr unsigned kCluster = 7;
  Value inCluster = LLVM::AddrSpaceCastOp::create(
      *this, LLVM::LLVMPointerType::get(getContext(), kCluster), shared);
  NVVM::CpAsyncBulkGlobalToSharedClusterOp::create(*this, inCluster, global, barrier, bytes,
                                                   /*multicastMask=*/Value(),
                                                   /*l2CacheHint=*/Value());
}
void HopperBuilder::fenceProducts() {
  NVVM::FenceProxyOp::create(
      *this, NVVM::ProxyKindAttr::get(getContext(), NVVM::ProxyKind::async_shared),
      NVVM::SharedSpaceAttr::get(getContext(), NVVM::SharedSpace::shared_cta));
}

void HopperBuilder::giveRegisters(int64_t count) {
  NVVM::SetMaxRegisterOp::create(*this, count, NVVM::SetMaxRegisterAction::decrease);
}
void HopperBuilder::takeRegisters(int64_t count) {
  NVVM::SetMaxRegisterOp::create(*this, count, NVVM::SetMaxRegisterAction::increase);
}

static LLVM::LLVMStructType sumsType(Builder &b, int64_t columns) {
  SmallVector<Type> elements(columns / 2, b.getF32Type());
  return LLVM::LLVMStructType::getLiteral(b.getContext(), elements);
}

Value HopperBuilder::zeroSums(int64_t columns) {
  return LLVM::ZeroOp::create(*this, sumsType(*this, columns));
}

SmallVector<Value> HopperBuilder::elementsOf(Value sums) {
  SmallVector<Value> elements;
  size_t count = cast<LLVM::LLVMStructType>(sums.getType()).getBody().size();
  for (size_t i = 0; i < count; ++i)
    elements.push_back(LLVM::ExtractValueOp::create(*this, sums, i));
  return elements;
}

Value HopperBuilder::descriptor(Value pointer, int64_t columnStep, int64_t rowStep,
                                int64_t swizzle) {
  // Addresses and steps are in units of 16 bytes, in 14 bits each.
  constexpr int64_t kUnit = 16;
  Value address = LLVM::PtrToIntOp::create(*this, getI32Type(), pointer);
  Value unit = arith::AndIOp::create(*this, divided(address, kUnit), i32(0x3fff));
  int64_t constants = columnStep / kUnit << 16 | rowStep / kUnit << 32 | swizzle << 62;
  return arith::OrIOp::create(*this, arith::ExtUIOp::create(*this, getI64Type(), unit),
                              i64(constants));
}

Value HopperBuilder::describePlain(Value pointer, int64_t columnStep) {
  return descriptor(pointer, columnStep, /*rowStep=*/128, /*swizzle=*/0);
}

Value HopperBuilder::describeSwizzled(Value pointer) {
  // The step between columns is part of the swizzle.
  return descriptor(pointer, /*columnStep=*/16, /*rowStep=*/1024, /*swizzle=*/1);
}

Value HopperBuilder::multiply(Type element, Value sums, Value a, Value b, int64_t columns) {
  MLIRContext *context = getContext();
  NVVM::WGMMATypes type = element.isBF16() ? NVVM::WGMMATypes::bf16 : NVVM::WGMMATypes::f16;
  return NVVM::WgmmaMmaAsyncOp::create(
      *this, sums.getType(), sums, a, b,
      NVVM::MMAShapeAttr::get(context, 64, static_cast<int>(columns), 16),
      NVVM::WGMMATypesAttr::get(context, type), NVVM::WGMMATypesAttr::get(context, type),
      NVVM::WGMMATypesAttr::get(context, NVVM::WGMMATypes::f32),
      NVVM::WGMMAScaleOutAttr::get(context, NVVM::WGMMAScaleOut::one),
      NVVM::WGMMAScaleInAttr::get(context, NVVM::WGMMAScaleIn::one),
      NVVM::WGMMAScaleInAttr::get(context, NVVM::WGMMAScaleIn::one),
      NVVM::MMALayoutAttr::get(context, NVVM::MMALayout::row),
      NVVM::MMALayoutAttr::get(context, NVVM::MMALayout::col), NVVM::MMAIntOverflowAttr());
}

void HopperBuilder::beginProducts() { NVVM::WgmmaFenceAlignedOp::create(*this); }
void HopperBuilder::commitProducts() { NVVM::WgmmaGroupSyncAlignedOp::create(*this); }
void HopperBuilder::waitForProducts(int64_t groups) {
  NVVM::WgmmaWaitGroupSyncOp::create(*this, groups);
}

Value HopperBuilder::settled(Value sums) {
  SmallVector<Value> elements = elementsOf(sums);
  std::string constraints;
  for (size_t i = 0; i < elements.size(); ++i)
    constraints += (i ? ",=f" : "=f");
  for (size_t i = 0; i < elements.size(); ++i)
    constraints += "," + std::to_string(i);
  return LLVM::InlineAsmOp::create(*this, sums.getType(), elements, "", constraints,
                                   /*has_side_effects=*/true, /*is_align_stack=*/false,
                                   LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
      .getResult(0);
}

} // namespace moec::cuda
