//===- moec-import.cpp - prints an ONNX file as IR of the onnx dialect ----===//
#include "lib/import/Import.h"
#include "lib/inspect/ModelReport.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::cl::OptionCategory category("moec-import");
  llvm::cl::opt<std::string> path(llvm::cl::Positional, llvm::cl::desc("MODEL.onnx"),
                                  llvm::cl::Required, llvm::cl::cat(category));
  llvm::cl::opt<bool> locations("locations", llvm::cl::desc("print the names of nodes and tensors"),
                                llvm::cl::cat(category));
  llvm::cl::opt<bool> report("report", llvm::cl::desc("print what the model contains instead"),
                             llvm::cl::cat(category));
  llvm::cl::HideUnrelatedOptions(category);
  llvm::cl::ParseCommandLineOptions(argc, argv, "prints an ONNX file as IR of the onnx dialect\n");

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module = moec::importOnnx(path, context);
  if (!module)
    return 1;
  if (report) {
    moec::printModel(moec::describeModel(*module, {}), llvm::outs());
    return 0;
  }
  mlir::OpPrintingFlags flags;
  if (locations)
    flags.enableDebugInfo(/*enable=*/true, /*prettyForm=*/true);
  module->print(llvm::outs(), flags);
  return 0;
}
