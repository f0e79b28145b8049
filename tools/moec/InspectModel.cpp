//===- InspectModel.cpp - moec inspect MODEL.onnx --------------------------===//
#include "tools/moec/Compiler.h"

#include "dialects/onnx/OnnxDialect.h"
#include "lib/import/Import.h"
#include "lib/inspect/ModelReport.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "moec/InitAll.h"
#include "passes/Passes.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SourceMgr.h"

namespace moec::tools {

int inspectModel(const Arguments &arguments, const std::string &path) {
  std::string semantics;
  if (int status = takeContribSemantics(inspectCommand, arguments, semantics); status != kDone)
    return status;
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  llvm::SourceMgr sources;
  mlir::SourceMgrDiagnosticHandler printer(sources, &context, llvm::errs());
  mlir::OwningOpRef<mlir::ModuleOp> imported = importOnnx(path, context);
  if (!imported)
    return kBadInput;
  // What cannot be raised is reported, and the model described all the same.
  mlir::OwningOpRef<mlir::ModuleOp> raised(imported->clone());
  Refusals refusals;
  mlir::ScopedDiagnosticHandler recorder(&context, [&](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
      refusals.try_emplace(onnxName(diagnostic.getLocation()), diagnostic.str());
    return mlir::failure();
  });
  stateContribSemantics(*raised, semantics);
  mlir::PassManager pm(&context);
  buildRaisePipeline(pm);
  bool isRaised = mlir::succeeded(pm.run(*raised));
  llvm::json::Object model =
      describeModel(*imported, isRaised ? *raised : mlir::ModuleOp(), refusals);
  if (arguments.has("--json"))
    llvm::outs() << llvm::formatv("{0:2}\n", llvm::json::Value(std::move(model)));
  else
    printModel(model, llvm::outs());
  return isRaised ? kDone : kBadInput;
}

} // namespace moec::tools
