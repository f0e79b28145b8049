//===- KernelTable.h - kernels and packed weights of a module --------------===//
#pragma once

#include "dialects/TensorBuilder.h"
#include "dialects/rt/RtDialect.h"
#include "lib/kernels/cpu/Matmul.h"
#include "lib/weights/Pack.h"

namespace moec {

/// Adds what selected kernels need to a module, equal things once.
class KernelTable {
public:
  KernelTable(mlir::ModuleOp module, const Chip &chip) : symbols(module), chip(chip) {}

  const Chip &getChip() const { return chip; }

  mlir::func::FuncOp matmul(const Matmul &matmul);

  /// The packed matrices, as a tensor. A name of the model is part of theirs.
  mlir::Value packedWeight(TensorBuilder &b, const PackStep &step, llvm::StringRef name);

private:
  mlir::SymbolTable symbols;
  const Chip &chip;
  std::vector<std::pair<Matmul, mlir::func::FuncOp>> matmuls;
  llvm::DenseMap<mlir::Attribute, rt::WeightOp> weights;
};

/// Launches `kernel` into a new tensor of `type` and `sizes`; `op` is what it
/// computes, for profiles.
mlir::Value launch(TensorBuilder &b, mlir::func::FuncOp kernel, mlir::Value grid,
                   mlir::ValueRange inputs, mlir::RankedTensorType type, TensorBuilder::Sizes sizes,
                   llvm::StringRef op);

/// Replaces `op` by the launch of a matmul kernel, if one computes it.
mlir::LogicalResult selectMatmul(KernelTable &table, mlir::RewriterBase &rewriter,
                                 mlir::linalg::MatmulOp op);
mlir::LogicalResult selectMatmul(KernelTable &table, mlir::RewriterBase &rewriter,
                                 moe::GroupedMatmulOp op);

} // namespace moec
