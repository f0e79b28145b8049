//===- KernelSet.h - the kernels that are outlined from a program ----------===//
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseSet.h"

namespace moec {

/// A kernel without a name, outside of any module: takes arguments of `types`
/// and the range [begin, end) of indices to compute; its entry block is empty.
mlir::func::FuncOp createKernel(mlir::OpBuilder &builder, mlir::TypeRange types);

/// Kernels of a module by structure, equal ones once.
class KernelSet {
public:
  /// Kernels are inserted before `main`.
  KernelSet(mlir::ModuleOp module, mlir::func::FuncOp main) : symbols(module), main(main) {}

  /// The kernel of the module that equals `kernel`, which becomes the set's and
  /// is called like `name` if there is none. Locations are dropped: they are
  /// those of one of many uses.
  mlir::func::FuncOp add(mlir::func::FuncOp kernel, llvm::StringRef name);

private:
  struct Structure : llvm::DenseMapInfo<mlir::func::FuncOp> {
    static unsigned getHashValue(mlir::func::FuncOp kernel);
    static bool isEqual(mlir::func::FuncOp lhs, mlir::func::FuncOp rhs);
  };

  mlir::SymbolTable symbols;
  mlir::func::FuncOp main;
  llvm::DenseSet<mlir::func::FuncOp, Structure> kernels;
};

} // namespace moec
