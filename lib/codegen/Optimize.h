//===- Optimize.h - LLVM's passes over a module ----------------------------===//
#pragma once

#include "llvm/IR/Module.h"
#include "llvm/Passes/OptimizationLevel.h"
#include "llvm/Target/TargetMachine.h"

namespace moec {

/// Runs the default pipeline of `level` for `machine`. Loops are not unrolled
/// by a guessed factor; kernels say how often.
void optimize(llvm::Module &module, llvm::TargetMachine &machine, llvm::OptimizationLevel level);

} // namespace moec
