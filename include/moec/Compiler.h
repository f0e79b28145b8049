//===- Compiler.h - compile a model from C++ ------------------------------===//
//
// The API behind `moec compile`, and what tests use to compile in process.
// Errors are reported as MLIR diagnostics on the context.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "moec/module_abi.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include <functional>
#include <memory>
#include <string>

namespace moec {

class EvaluatedWeights;
class JitModule;

struct CompileOptions {
  /// What executes the kernels: "cpu" or "cuda".
  std::string target = "cpu";
  /// What to generate code for: "native", a level such as "x86-64-v3", or "sm_80"
  /// and "sm_90a" for CUDA, where "native" is sm_80.
  std::string chip = "native";
  /// What the float weights of matrix products become while they are packed:
  /// "keep", "f32", "bf16", "int8" (a scale per row) or "int4" (one per 32
  /// columns). Integers of the model stay as they are.
  std::string weights = "keep";
  /// What rows may be rounded to before they are multiplied: "keep"; "bf16",
  /// where the weights are bf16; "int8", block by block, where they are
  /// integers. Empty: what the model permits (accuracy_level 4 is int8).
  std::string activations;
  /// Whose meaning com.microsoft's operators have where ONNX Runtime's CPU and
  /// CUDA ones differ: "ort-cpu", "ort-cuda", or empty for ort-cpu where the
  /// model works the same for both or says which it is for.
  std::string contribSemantics;
  /// The model's file: weights are read from it, or relative to its folder.
  std::string modelPath;
  /// For CUDA: machine code beside the PTX, where ptxas is found.
  bool cubin = false;
  /// When not empty: a folder that receives the IR after every stage.
  std::string dumpIrFolder;
  /// When not empty: a file that compileFile writes a report to, as JSON: how
  /// long each stage took, how each block was understood, state, memory plan.
  std::string reportPath;
};

/// Which of `weights` and `activations` were used, for metadata and reports.
llvm::json::Object describeOperands(const CompileOptions &options);

/// Called during long work with what is being done, and how much of how much.
using Progress = std::function<void(llvm::StringRef, uint64_t, uint64_t)>;
/// What is done when the weights are written.
inline constexpr llvm::StringLiteral kGeneratingCode = "generating code";

/// Takes a module in the onnx dialect (or any later stage) through all stages
/// to the LLVM dialect.
/// `observe`, if given, sees the module after each stage. With `evaluated`, what
/// depends on weights alone is computed now; it holds the results until the
/// weights are written (lib/compiler/EvaluateWeights.h).
using StageObserver = std::function<void(llvm::StringRef stage, mlir::ModuleOp module)>;
mlir::LogicalResult lowerToLlvm(mlir::ModuleOp module, const CompileOptions &options,
                                const StageObserver &observe = {},
                                EvaluatedWeights *evaluated = nullptr);

/// Machine code of a model, whose weights are in a file.
struct CompiledCode {
  /// Host code, and the kernels of a CPU.
  std::unique_ptr<llvm::MemoryBuffer> object;
  /// The kernels of a device, where the metadata's "device_code" says.
  std::string deviceCode;
  /// JSON, as docs/metadata.md describes it; the object contains it too.
  std::string metadata;
  std::string chip;
};

/// Writes the weights of a lowered module to `weightsPath` and compiles the
/// module to an object whose accessor is `PREFIX_module`; see
/// lib/codegen/ObjectCode.h. The module is consumed. `metadata` has the members
/// that only the caller knows: the name of the weights file, reports.
mlir::FailureOr<CompiledCode> compileToObject(mlir::ModuleOp module, const CompileOptions &options,
                                              llvm::StringRef weightsPath, llvm::StringRef prefix,
                                              llvm::json::Object metadata = {},
                                              const Progress &progress = {});

/// What compileFile writes.
enum class EmitFormat {
  moec, ///< an artifact for the runtime, OUT.moec
  obj,  ///< an object and a header for linking, OUT.o and OUT.h
  mlir, ///< the lowered IR
  ptx,  ///< the kernels of a CUDA device, for its chip
};

/// Compiles the model at `options.modelPath` to `output`, with its weights
/// beside it in a .safetensors file. What exists is replaced when everything
/// is ready; after an error nothing has changed.
mlir::LogicalResult compileFile(llvm::StringRef output, EmitFormat format,
                                const CompileOptions &options, mlir::MLIRContext &context,
                                const Progress &progress = {});

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
/// The same for a module that has been lowered.
std::unique_ptr<CompiledModel> loadLowered(mlir::ModuleOp module, const CompileOptions &options);

} // namespace moec
