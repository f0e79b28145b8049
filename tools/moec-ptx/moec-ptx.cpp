//===- moec-ptx.cpp - the kernels of a program as PTX ----------------------===//
//
// Reads a program of tensors, moe and attn, as the raise stage leaves it, and
// prints what its kernels are on a chip: for those who work on kernels.
//
//===----------------------------------------------------------------------===//
#include "lib/codegen/PtxCode.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "moec/Compiler.h"
#include "moec/InitAll.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

using namespace mlir;
using namespace moec;
namespace cl = llvm::cl;

static cl::opt<std::string> input(cl::Positional, cl::init("-"), cl::desc("FILE.mlir"));
static cl::opt<std::string> chipName("chip", cl::desc("sm_80 or sm_90a"), cl::init("sm_80"));

int main(int argc, char **argv) {
  llvm::InitLLVM initLlvm(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "prints the kernels of a program as PTX\n");
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry);
  std::optional<CudaChip> chip = parseCudaChip(chipName);
  if (!chip) {
    llvm::errs() << "no chip is called '" << chipName << "'\n";
    return 2;
  }
  auto module = parseSourceFile<ModuleOp>(input, &context);
  CompileOptions options;
  options.target = "cuda";
  options.chip = chipName;
  if (!module || failed(lowerToLlvm(*module, options)))
    return 1;
  FailureOr<std::string> ptx = emitPtx(*module, *chip);
  if (failed(ptx))
    return 1;
  llvm::outs() << *ptx;
  return 0;
}
