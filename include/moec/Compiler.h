//===- Compiler.h - compile a model from C++ ------------------------------===//
//
// The API behind `moec compile`, and what tests use to compile in process.
// Errors are reported as MLIR diagnostics on the context.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "moec/module_abi.h"
#include "llvm/Support/MemoryBuffer.h"
#include <functional>
#include <memory>
#include <string>

namespace moec {

class JitModule;

struct CompileOptions {
  /// What to generate code for: "native", or a level such as "x86-64-v3".
  std::string chip = "native";
  /// The model's file: weights are read from it, or relative to its folder.
  std::string modelPath;
  /// When not empty: a folder that receives the IR after every stage.
  std::string dumpIrFolder;
};

/// Called during long work with what is being done, and how much of how much.
using Progress = std::function<void(llvm::StringRef, uint64_t, uint64_t)>;

/// Takes a module in the onnx dialect (or any later stage) through all stages
/// to the LLVM dialect.
mlir::LogicalResult lowerToLlvm(mlir::ModuleOp module, const CompileOptions &options);

/// Writes the weights of a lowered module to `weightsPath` and compiles the
/// module to an object whose accessor is `PREFIX_module`; see
/// lib/codegen/ObjectCode.h. The module is consumed.
mlir::FailureOr<std::unique_ptr<llvm::MemoryBuffer>>
compileToObject(mlir::ModuleOp module, const CompileOptions &options, llvm::StringRef weightsPath,
                llvm::StringRef prefix, const Progress &progress = {});

/// A model compiled into this process; its weights are in a temporary file.
class CompiledModel {
public:
  CompiledModel(std::unique_ptr<JitModule> code, std::string weightsPath);
  ~CompiledModel();
  CompiledModel(const CompiledModel &) = delete;
  CompiledModel &operator=(const CompiledModel &) = delete;
  const moec_module_v1 *module() const;
  /// The weights file, for moec_model_from_module.
  const std::string &weights() const { return weightsPath; }

private:
  std::unique_ptr<JitModule> code;
  std::string weightsPath;
};

/// Lowers and compiles `module` into this process, for running it through
/// runtime.h at once. Null after an error.
std::unique_ptr<CompiledModel> compileInProcess(mlir::ModuleOp module,
                                                const CompileOptions &options);

} // namespace moec
