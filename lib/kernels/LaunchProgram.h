//===- LaunchProgram.h - a program that is one kernel ----------------------===//
//
// For tests and benchmarks of kernels.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace moec {

/// A module with the kernel that `build` creates and a @main that launches it
/// on tensors of its inputs' shapes and returns its last arguments, the
/// `outputs`. `rows` is the input whose first size is the outputs', `grid`
/// computes the grid from that size.
mlir::OwningOpRef<mlir::ModuleOp>
launchProgram(mlir::MLIRContext &context,
              llvm::function_ref<mlir::func::FuncOp(mlir::OpBuilder &)> build, unsigned rows,
              llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Value)> grid,
              unsigned outputs = 1);

} // namespace moec
