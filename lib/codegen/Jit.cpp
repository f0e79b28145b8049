#include "lib/codegen/Jit.h"

#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/TargetSelect.h"

using namespace llvm;

namespace moec {

JitModule::JitModule() = default;
JitModule::~JitModule() = default;

Expected<std::unique_ptr<JitModule>> JitModule::load(std::unique_ptr<MemoryBuffer> object) {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  std::unique_ptr<JitModule> result(new JitModule());
  Expected<std::unique_ptr<orc::LLJIT>> jit = orc::LLJITBuilder().create();
  if (!jit)
    return jit.takeError();
  result->jit = std::move(*jit);
  if (Error error = result->jit->addObjectFile(std::move(object)))
    return std::move(error);
  Expected<orc::ExecutorAddr> accessor = result->jit->lookup("moec_module");
  if (!accessor)
    return accessor.takeError();
  result->table = accessor->toPtr<const moec_module_v1 *()>()();
  return result;
}

} // namespace moec
