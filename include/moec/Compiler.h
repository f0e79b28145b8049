//===- Compiler.h - compile a model from C++ ------------------------------===//
//
// The API behind `moec compile`, and what tests use to compile in process.
// Errors are reported as MLIR diagnostics on the context.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "moec/module_abi.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <string>

namespace moec {

class JitModule;

struct CompileOptions {
  /// What to generate code for: "native", or a level such as "x86-64-v3".
  std::string chip = "native";
  /// The folder that external data and weight sources are relative to.
  std::string modelFolder = ".";
  /// When not empty: a folder that receives the IR after every stage.
  std::string dumpIrFolder;
};

/// Takes a module in the onnx dialect (or any later stage) through all stages
/// to the LLVM dialect.
mlir::LogicalResult lowerToLlvm(mlir::ModuleOp module, const CompileOptions &options);

/// Compiles a lowered module to an object; see lib/codegen/ObjectCode.h.
mlir::FailureOr<std::unique_ptr<llvm::MemoryBuffer>>
compileToObject(mlir::ModuleOp module, const CompileOptions &options, llvm::StringRef prefix);

/// A model compiled into this process.
class CompiledModel {
public:
  CompiledModel(std::unique_ptr<JitModule> code);
  ~CompiledModel();
  const moec_module_v1 *module() const;

private:
  std::unique_ptr<JitModule> code;
};

/// Lowers and compiles `module` into this process, for running it through
/// runtime.h at once. Null after an error.
std::unique_ptr<CompiledModel> compileInProcess(mlir::ModuleOp module,
                                                const CompileOptions &options);

} // namespace moec
