#include "lib/kernels/cuda/BlockBuilder.h"

#include "dialects/rt/Geometry.h"
#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr unsigned kGlobal = 1, kShared = 3;
/// All lanes of a warp, and the clamp of shuffles across all of it.
constexpr int64_t kAllLanes = 0xffffffff, kWholeWarp = 31;

LLVM::LLVMPointerType pointerTo(MLIRContext *context, unsigned space) {
  return LLVM::LLVMPointerType::get(context, space);
}

int64_t bytesOf(Type type) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.getNumElements() * vector.getElementTypeBitWidth() / 8;
  return type.getIntOrFloatBitWidth() / 8;
}

} // namespace

Value BlockBuilder::i32(int64_t value) {
  return arith::ConstantOp::create(*this, getI32IntegerAttr(static_cast<int32_t>(value)));
}
Value BlockBuilder::i64(int64_t value) {
  return arith::ConstantOp::create(*this, getI64IntegerAttr(value));
}

Value BlockBuilder::toI32(Value value) {
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(*this, getI32Type(), value);
  if (value.getType().isInteger(64))
    return arith::TruncIOp::create(*this, getI32Type(), value);
  return value;
}

Value BlockBuilder::toI64(Value value) {
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(*this, getI64Type(), value);
  if (value.getType().isInteger(32))
    return arith::ExtSIOp::create(*this, getI64Type(), value);
  return value;
}

/// A constant of the value's type.
static Value like(BlockBuilder &b, Value value, int64_t constant) {
  return arith::ConstantOp::create(b, b.getIntegerAttr(value.getType(), constant));
}

Value BlockBuilder::divided(Value value, int64_t divisor) {
  return arith::DivUIOp::create(*this, value, like(*this, value, divisor));
}
Value BlockBuilder::remainder(Value value, int64_t divisor) {
  return arith::RemUIOp::create(*this, value, like(*this, value, divisor));
}
Value BlockBuilder::ceilDivided(Value value, int64_t divisor) {
  return divided(add(value, like(*this, value, divisor - 1)), divisor);
}

Value BlockBuilder::thread() { return NVVM::ThreadIdXOp::create(*this, getI32Type()); }

Value BlockBuilder::sharedMemory() {
  return LLVM::AddressOfOp::create(*this, pointerTo(getContext(), kShared), kSharedMemory);
}

Value BlockBuilder::globalMemory(Value memref) {
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(*this, memref);
  Value generic = LLVM::IntToPtrOp::create(*this, pointerTo(getContext(), 0), toI64(address));
  return LLVM::AddrSpaceCastOp::create(*this, pointerTo(getContext(), kGlobal), generic);
}

Value BlockBuilder::sizeOf(Value memref, unsigned dim) {
  return toI64(memref::DimOp::create(*this, memref, dim));
}

Value BlockBuilder::rowBytes(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  auto metadata = memref::ExtractStridedMetadataOp::create(*this, memref);
  Value stride = toI64(metadata.getStrides()[type.getRank() - 2]);
  return mul(stride, i64(bytesOf(type.getElementType())));
}

Value BlockBuilder::at(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(*this, pointer.getType(), getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value BlockBuilder::load(Type type, Value pointer) {
  return LLVM::LoadOp::create(*this, type, pointer, bytesOf(type));
}
void BlockBuilder::store(Value value, Value pointer) {
  LLVM::StoreOp::create(*this, value, pointer, bytesOf(value.getType()));
}

Value BlockBuilder::loadIf(Value condition, Type type, Value pointer, Value fallback) {
  auto read = [&](OpBuilder &nested, Location loc) {
    scf::YieldOp::create(nested, loc, BlockBuilder(nested, loc).load(type, pointer));
  };
  auto skip = [&](OpBuilder &nested, Location loc) { scf::YieldOp::create(nested, loc, fallback); };
  return scf::IfOp::create(*this, condition, read, skip).getResult(0);
}

void BlockBuilder::copyAsync(Value shared, Value global, Value bytes) {
  NVVM::CpAsyncOp::create(*this, shared, global, 16, NVVM::LoadCacheModifierKind::CG, bytes);
}
void BlockBuilder::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(*this); }
void BlockBuilder::waitForCopies(int64_t groups) {
  NVVM::CpAsyncWaitGroupOp::create(*this, groups);
}
void BlockBuilder::barrier() { NVVM::Barrier0Op::create(*this); }

Value BlockBuilder::shuffle(Value value, Value operand, int kind, int64_t clamp) {
  return NVVM::ShflOp::create(*this, value.getType(), i32(kAllLanes), value, operand, i32(clamp),
                              static_cast<NVVM::ShflKind>(kind), nullptr);
}
Value BlockBuilder::fromLaneBelow(Value value, int64_t distance) {
  return shuffle(value, i32(distance), static_cast<int>(NVVM::ShflKind::up), 0);
}
Value BlockBuilder::fromLane(Value value, Value lane) {
  return shuffle(value, lane, static_cast<int>(NVVM::ShflKind::idx), kWholeWarp);
}
Value BlockBuilder::fromLaneAcross(Value value, int64_t mask) {
  return shuffle(value, i32(mask), static_cast<int>(NVVM::ShflKind::bfly), kWholeWarp);
}

static NVVM::ReduxKind kindOf(Fold fold) {
  switch (fold) {
  case Fold::sum:
    return NVVM::ReduxKind::ADD;
  case Fold::max:
    return NVVM::ReduxKind::MAX;
  case Fold::min:
    return NVVM::ReduxKind::MIN;
  case Fold::bits:
    return NVVM::ReduxKind::OR;
  }
  llvm_unreachable("a fold without a case");
}

static Value folded(BlockBuilder &b, Fold fold, Value lhs, Value rhs) {
  switch (fold) {
  case Fold::sum:
    return b.add(lhs, rhs);
  case Fold::max:
    return b.max(lhs, rhs);
  case Fold::min:
    return b.min(lhs, rhs);
  case Fold::bits:
    return arith::OrIOp::create(b, lhs, rhs);
  }
  llvm_unreachable("a fold without a case");
}

Value BlockBuilder::foldLanes(Value value, Fold fold, int64_t lanes) {
  // A whole warp's integers take one instruction.
  if (lanes == kWarp && value.getType().isInteger(32))
    return NVVM::ReduxOp::create(*this, value.getType(), value, kindOf(fold), i32(kAllLanes));
  for (int64_t mask = lanes / 2; mask > 0; mask /= 2)
    value = folded(*this, fold, value, fromLaneAcross(value, mask));
  return value;
}

Value BlockBuilder::ballot(Value condition) {
  return NVVM::VoteSyncOp::create(*this, getI32Type(), i32(kAllLanes), condition,
                                  NVVM::VoteSyncKind::ballot);
}

Value BlockBuilder::multiplyAdd(Value a, Value b, Value sum) {
  return math::FmaOp::create(*this, a, b, sum);
}

/// The members of a structure.
static std::array<Value, 4> membersOf(BlockBuilder &b, Value structure) {
  std::array<Value, 4> members;
  for (auto [i, value] : llvm::enumerate(members))
    value = LLVM::ExtractValueOp::create(b, structure, i);
  return members;
}

std::array<Value, 4> BlockBuilder::loadMatrices(Value pointer) {
  SmallVector<Type> words(4, getI32Type());
  return membersOf(*this, NVVM::LdMatrixOp::create(
                              *this, LLVM::LLVMStructType::getLiteral(getContext(), words), pointer,
                              /*num=*/4, NVVM::MMALayout::row,
                              NVVM::LdStMatrixShapeAttr::get(getContext(), 8, 8),
                              NVVM::LdStMatrixEltType::B16));
}

std::array<Value, 4> BlockBuilder::multiplyTile(Type element, ArrayRef<Value> a, ArrayRef<Value> b,
                                                ArrayRef<Value> sum) {
  Type f32 = getF32Type();
  bool isBf16 = element.isBF16();
  NVVM::MMATypes type = isBf16 ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  SmallVector<Value> aWords(a), bWords(b);
  if (!isBf16)
    for (SmallVector<Value> *words : {&aWords, &bWords})
      for (Value &word : *words)
        word = bitcast(word, VectorType::get(2, element));
  Value tile = NVVM::MmaOp::create(
      *this, LLVM::LLVMStructType::getLiteral(getContext(), {f32, f32, f32, f32}), aWords, bWords,
      sum, ArrayRef<int64_t>{16, 8, 16}, std::nullopt, std::nullopt, std::array{type, type},
      std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  return membersOf(*this, tile);
}

Value BlockBuilder::permuteBytes(Value value, uint32_t selector) {
  return NVVM::PermuteOp::create(*this, getI32Type(), value, i32(0), i32(selector),
                                 NVVM::PermuteMode::DEFAULT);
}

Value BlockBuilder::masked(Value value, uint32_t mask, uint32_t bits) {
  value = arith::AndIOp::create(*this, value, i32(mask));
  return bits ? arith::OrIOp::create(*this, value, i32(bits)).getResult() : value;
}

Value BlockBuilder::bitcast(Value value, Type type) {
  return LLVM::BitcastOp::create(*this, type, value);
}

func::FuncOp defineBlockKernel(OpBuilder &builder, StringRef name, ArrayRef<Type> types,
                               const BlockShape &shape,
                               function_ref<void(BlockBuilder &, ValueRange, Value)> body) {
  // Equal kernels are shared, so a kernel has no location of its own.
  Location loc = builder.getUnknownLoc();
  SmallVector<Type> arguments(types);
  arguments.append(2, builder.getIndexType());
  auto kernel = func::FuncOp::create(builder, loc, name, builder.getFunctionType(arguments, {}));
  kernel->setAttr(rt::LaunchOp::kKernelAttr, builder.getUnitAttr());
  kernel->setAttr(rt::kBlockAttr,
                  builder.getDictionaryAttr(
                      {builder.getNamedAttr("threads", builder.getI64IntegerAttr(shape.threads)),
                       builder.getNamedAttr("shared", builder.getI64IntegerAttr(shape.shared))}));
  kernel.setPrivate();
  Block *entry = kernel.addEntryBlock();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(entry);
  BlockBuilder b(builder, loc);
  // A block is one index of the grid.
  ValueRange values = entry->getArguments();
  body(b, values.drop_back(2), b.toI32(values[values.size() - 2]));
  func::ReturnOp::create(b);
  return kernel;
}

void addVariant(func::FuncOp kernel, func::FuncOp variant, StringRef chip) {
  Builder b(kernel.getContext());
  variant.setSymName((kernel.getSymName() + "." + chip).str());
  variant->setAttr(rt::kVariantAttr,
                   b.getDictionaryAttr({b.getNamedAttr("chip", b.getStringAttr(chip)),
                                        b.getNamedAttr("kernel", kernel.getSymNameAttr())}));
  if (!variant->getBlock())
    kernel->getBlock()->getOperations().insert(kernel->getIterator(), variant);
}

Operation *declareSharedMemory(OpBuilder &builder, Location loc) {
  // Of no size: launches say how much there is.
  auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
  return LLVM::GlobalOp::create(builder, loc, bytes, /*isConstant=*/false, LLVM::Linkage::External,
                                kSharedMemory, Attribute(), /*alignment=*/1024, kShared);
}

} // namespace moec::cuda
