#include "lib/codegen/PtxCode.h"

#include "dialects/rt/Geometry.h"
#include "dialects/rt/RtDialect.h"
#include "lib/codegen/Optimize.h"
#include "lib/codegen/TargetMachine.h"
#include "lib/kernels/cuda/BlockBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/LegacyPassManager.h"

using namespace mlir;

namespace moec {

bool isDeviceCode(Operation &op) {
  auto global = dyn_cast<LLVM::GlobalOp>(op);
  return op.hasAttr(rt::LaunchOp::kKernelAttr) ||
         (global && global.getName() == cuda::kSharedMemory);
}

llvm::StringMap<Operation *> variantsFor(ModuleOp module, const CudaChip &chip) {
  llvm::StringMap<Operation *> variants;
  for (Operation &op : *module.getBody())
    if (auto variant = op.getAttrOfType<DictionaryAttr>(rt::kVariantAttr))
      if (variant.getAs<StringAttr>("chip") == chip.name)
        variants[variant.getAs<StringAttr>("kernel")] = &op;
  return variants;
}

namespace {

constexpr llvm::StringLiteral kTriple = "nvptx64-nvidia-cuda";

/// A copy of the kernels and their memory, without the host code. Variants for
/// the chip take the place of kernels; those for others are left out.
OwningOpRef<ModuleOp> kernelsOf(ModuleOp module, const CudaChip &chip) {
  OpBuilder builder(module.getContext());
  OwningOpRef<ModuleOp> result = ModuleOp::create(builder, module.getLoc());
  builder.setInsertionPointToStart(result->getBody());
  llvm::StringMap<Operation *> variants = variantsFor(module, chip);
  for (Operation &op : *module.getBody()) {
    if (!isDeviceCode(op) || op.hasAttr(rt::kVariantAttr))
      continue;
    StringAttr name = SymbolTable::getSymbolName(&op);
    Operation *variant = variants.lookup(name);
    SymbolTable::setSymbolName(builder.clone(variant ? *variant : op), name);
  }
  return result;
}

/// Adds the entry for a kernel that computes a range of indices. The entry
/// takes the name.
void addEntry(llvm::Module &module, LLVM::LLVMFuncOp kernel) {
  llvm::LLVMContext &context = module.getContext();
  llvm::Function *range = module.getFunction(kernel.getName());
  rt::Geometry geometry(kernel);
  llvm::IRBuilder<> builder(context);
  llvm::Type *word = builder.getInt64Ty();
  auto *table = llvm::ArrayType::get(
      word, kernel->getAttrOfType<IntegerAttr>(rt::LaunchOp::kWordsAttr).getInt());
  auto *type = llvm::FunctionType::get(builder.getVoidTy(), {builder.getPtrTy(), word}, false);
  range->setName(kernel.getName() + ".range");
  range->setLinkage(llvm::GlobalValue::InternalLinkage);
  range->addFnAttr(llvm::Attribute::AlwaysInline);
  auto *entry =
      llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, kernel.getName(), module);
  entry->setCallingConv(llvm::CallingConv::PTX_Kernel);
  entry->addParamAttr(0, llvm::Attribute::getWithByValType(context, table));
  entry->addParamAttr(0, llvm::Attribute::getWithAlignment(context, llvm::Align(8)));
  entry->addFnAttr("nvvm.reqntid", std::to_string(geometry.threads));
  // Kernels of blocks have tiles that fill registers: the assembler should not
  // spill some for the sake of more blocks. Without, it also ignores that warps
  // pass registers to each other.
  if (geometry.indices == 1)
    entry->addFnAttr("nvvm.minctasm", "1");
  auto *start = llvm::BasicBlock::Create(context, "", entry);
  auto *inside = llvm::BasicBlock::Create(context, "", entry);
  auto *end = llvm::BasicBlock::Create(context, "", entry);
  builder.SetInsertPoint(start);
  auto special = [&](llvm::Intrinsic::ID id) {
    return builder.CreateZExt(builder.CreateIntrinsic(id, {}), word);
  };
  llvm::Value *index = special(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
  if (geometry.indices > 1) {
    llvm::Value *first = builder.CreateNSWMul(index, builder.getInt64(geometry.indices));
    index = builder.CreateNSWAdd(first, special(llvm::Intrinsic::nvvm_read_ptx_sreg_tid_x));
  }
  builder.CreateCondBr(builder.CreateICmpSLT(index, entry->getArg(1)), inside, end);
  builder.SetInsertPoint(inside);
  builder.CreateCall(range,
                     {entry->getArg(0), index, builder.CreateNSWAdd(index, builder.getInt64(1))});
  builder.CreateBr(end);
  builder.SetInsertPoint(end);
  builder.CreateRetVoid();
}

} // namespace

FailureOr<std::string> emitPtx(ModuleOp module, const CudaChip &chip) {
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(
      {kTriple, chip.name, chip.ptxVersion}, std::nullopt, llvm::CodeGenOptLevel::Aggressive);
  if (!machine)
    return module.emitError("no code generator for '") << kTriple << "'";
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  registerNVVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  OwningOpRef<ModuleOp> kernels = kernelsOf(module, chip);
  // Known before the translation: it states the alignment of every access.
  (*kernels)->setAttr(
      LLVM::LLVMDialect::getDataLayoutAttrName(),
      StringAttr::get(module.getContext(), machine->createDataLayout().getStringRepresentation()));
  std::unique_ptr<llvm::Module> translated = translateModuleToLLVMIR(*kernels, context);
  if (!translated)
    return failure();
  translated->setTargetTriple(machine->getTargetTriple());
  for (auto kernel : kernels->getOps<LLVM::LLVMFuncOp>())
    addEntry(*translated, kernel);
  for (llvm::Function &function : *translated)
    function.addFnAttr(llvm::Attribute::NoUnwind);
  optimize(*translated, *machine, llvm::OptimizationLevel::O2);
  for (const llvm::Function &function : *translated)
    if (function.isDeclaration() && !function.isIntrinsic())
      return module.emitError("kernels call '") << function.getName() << "', which no device has";
  llvm::SmallVector<char, 0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager emitter;
  if (machine->addPassesToEmitFile(emitter, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return module.emitError("no emitter for '") << kTriple << "'";
  emitter.run(*translated);
  return std::string(text.begin(), text.end());
}

} // namespace moec
