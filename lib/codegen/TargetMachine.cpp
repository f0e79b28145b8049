#include "lib/codegen/TargetMachine.h"

#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"

namespace moec {

std::unique_ptr<llvm::TargetMachine>
createTargetMachine(const TargetName &name, std::optional<llvm::Reloc::Model> relocation,
                    llvm::CodeGenOptLevel level) {
  [[maybe_unused]] static bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  llvm::Triple triple(name.triple);
  std::string error;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(found->createTargetMachine(
      triple, name.cpu, name.features, options, relocation, std::nullopt, level));
}

} // namespace moec
