//===- Passes.h - every pass and pipeline of moec ------------------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace moec {

/// The stages of the compiler, in order.
enum class Stage { raise, fuse, plan, emit };

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Attribute of the module, "ort-cpu" or "ort-cuda": whose meaning the operators
/// of com.microsoft have where ONNX Runtime's differ.
inline constexpr llvm::StringLiteral kContribSemanticsAttr = "onnx.contrib_semantics";
/// Sets that attribute, unless `semantics` is empty.
void stateContribSemantics(mlir::ModuleOp module, llvm::StringRef semantics);

/// What a program is compiled for, and how exactly its products are computed.
struct Target {
  /// "cpu" or "cuda".
  std::string name = "cpu";
  /// See lib/kernels/cpu/Chip.h, lib/kernels/cuda/CudaChip.h.
  std::string chip = "native";
  /// See CompileOptions in include/moec/Compiler.h.
  std::string weights = "keep", activations{};

  /// Whether kernels run on a device with a memory of its own.
  bool isDevice() const { return name != "cpu"; }
};

/// The stages; each is also a named pipeline of moec-opt (`--moec-fuse`, ...).
/// Pipelines.cpp says what each one does, VerifyStage.cpp what it leaves.
void buildRaisePipeline(mlir::OpPassManager &pm);
void buildFusePipeline(mlir::OpPassManager &pm, const Target &target);
void buildPlanPipeline(mlir::OpPassManager &pm, const Target &target);
void buildEmitPipeline(mlir::OpPassManager &pm, const Target &target);

/// Registers the stages as pipelines.
void registerPipelines();

} // namespace moec
