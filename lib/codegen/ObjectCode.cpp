#include "lib/codegen/ObjectCode.h"

#include "lib/codegen/Metadata.h"
#include "lib/codegen/Optimize.h"
#include "lib/codegen/TargetMachine.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "moec/module_abi.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"

using namespace mlir;

namespace moec {
namespace {

/// Appends the moec_module_v1 and the function that returns it.
void addModuleTable(llvm::Module &module, ArrayRef<Attribute> kernels, StringRef metadata,
                    StringRef prefix) {
  llvm::LLVMContext &context = module.getContext();
  auto *pointer = llvm::PointerType::getUnqual(context);
  auto *i32 = llvm::Type::getInt32Ty(context);
  auto global = [&](llvm::Constant *value, StringRef name) {
    return new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true,
                                    llvm::GlobalValue::InternalLinkage, value, name);
  };
  llvm::SmallVector<llvm::Constant *> functions;
  for (Attribute kernel : kernels)
    if (llvm::Function *function = module.getFunction(cast<StringAttr>(kernel).getValue()))
      functions.push_back(function);
  llvm::Constant *table = llvm::ConstantPointerNull::get(pointer);
  // Where a device executes them, they are not in this module.
  if (!functions.empty())
    table =
        global(llvm::ConstantArray::get(llvm::ArrayType::get(pointer, functions.size()), functions),
               "moec_kernels");
  llvm::Constant *text =
      global(llvm::ConstantDataArray::getString(context, metadata), "moec_metadata");
  llvm::Constant *members[] = {llvm::ConstantInt::get(i32, MOEC_ABI_VERSION),
                               llvm::ConstantInt::get(i32, kernels.size()), text,
                               module.getFunction("moec_entry"), table};
  llvm::Constant *description = global(llvm::ConstantStruct::getAnon(members), "moec_description");
  auto *accessor =
      llvm::Function::Create(llvm::FunctionType::get(pointer, false),
                             llvm::GlobalValue::ExternalLinkage, prefix + "_module", module);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", accessor));
  builder.CreateRet(description);
}

/// Everything but the accessor is the module's own, so that several modules
/// can be linked into one program.
void hideDefinitions(llvm::Module &module) {
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
  for (llvm::GlobalVariable &variable : module.globals())
    if (!variable.isDeclaration())
      variable.setLinkage(llvm::GlobalValue::InternalLinkage);
}

} // namespace

FailureOr<std::unique_ptr<llvm::MemoryBuffer>> emitObject(ModuleOp module, const CpuTarget &target,
                                                          StringRef metadata, StringRef prefix) {
  std::unique_ptr<llvm::TargetMachine> machine =
      createTargetMachine({target.triple, target.cpu, target.features}, llvm::Reloc::PIC_,
                          llvm::CodeGenOptLevel::Default);
  if (!machine)
    return module.emitError("no code generator for '") << target.triple << "'";
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> translated = translateModuleToLLVMIR(module, context);
  if (!translated)
    return failure();
  translated->setDataLayout(machine->createDataLayout());
  translated->setTargetTriple(machine->getTargetTriple());
  hideDefinitions(*translated);
  auto entry = module.lookupSymbol<LLVM::LLVMFuncOp>("moec_entry");
  addModuleTable(*translated, entry->getAttrOfType<ArrayAttr>("rt.kernels").getValue(), metadata,
                 prefix);
  for (llvm::Function &function : *translated)
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", target.cpu);
      function.addFnAttr("target-features", target.features);
      function.addFnAttr(llvm::Attribute::NoUnwind);
    }
  optimize(*translated, *machine, llvm::OptimizationLevel::O1);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager emitter;
  if (machine->addPassesToEmitFile(emitter, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return module.emitError("no object emitter for '") << target.triple << "'";
  emitter.run(*translated);
  return std::unique_ptr<llvm::MemoryBuffer>(std::make_unique<llvm::SmallVectorMemoryBuffer>(
      std::move(bytes), "module.o", /*RequiresNullTerminator=*/false));
}

} // namespace moec
