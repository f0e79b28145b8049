//===- CompileReport.h - what compiling did and how long it took ----------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

#include <chrono>

namespace moec {

/// Collects what `moec compile --report` writes.
class CompileReport {
public:
  /// Says that everything since the last call, or since the start, was `stage`.
  void finished(llvm::StringRef stage);
  /// Takes the description of the model; see describeModel.
  void model(llvm::json::Object description) { root["model"] = std::move(description); }
  /// Takes what operands of products were converted to.
  void operands(llvm::json::Object description) { root["operands"] = std::move(description); }
  /// Takes what code there is for which device; nothing where it is a CPU.
  void deviceCode(llvm::json::Array list);
  /// Takes state, plan and counts from a lowered module.
  void lowered(mlir::ModuleOp module);
  std::string text() &&;

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last = Clock::now();
  llvm::json::Object root;
  llvm::json::Array stages;
};

} // namespace moec
