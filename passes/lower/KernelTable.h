//===- KernelTable.h - kernels and packed weights of a module --------------===//
#pragma once

#include "dialects/TensorBuilder.h"
#include "dialects/attn/AttnDialect.h"
#include "dialects/moe/MoeDialect.h"
#include "dialects/rt/RtDialect.h"
#include "lib/kernels/cpu/Chip.h"
#include "lib/weights/Pack.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/Any.h"

namespace moec {

/// Adds what selected kernels need to a module, equal things once.
class KernelTable {
public:
  KernelTable(mlir::ModuleOp module, const Chip &chip) : symbols(module), chip(chip) {}

  const Chip &getChip() const { return chip; }

  /// The kernel that `spec` describes: a value with operator==, and with
  /// build(builder, chip), which generates it.
  template <typename Spec> mlir::func::FuncOp kernel(const Spec &spec) {
    for (auto &[known, kernel] : kernels)
      if (const Spec *same = llvm::any_cast<Spec>(&known); same && *same == spec)
        return kernel;
    mlir::OpBuilder builder(symbols.getOp()->getContext());
    return insert(spec, spec.build(builder, chip));
  }

  /// The packed matrices, as a tensor. A name of the model is part of theirs.
  mlir::Value packedWeight(TensorBuilder &b, const PackStep &step, llvm::StringRef name);

private:
  mlir::func::FuncOp insert(llvm::Any spec, mlir::func::FuncOp kernel);

  mlir::SymbolTable symbols;
  const Chip &chip;
  std::vector<std::pair<llvm::Any, mlir::func::FuncOp>> kernels;
  llvm::DenseMap<mlir::Attribute, rt::WeightOp> weights;
};

/// Launches `kernel` into a new tensor of `type` and `sizes`; `op` is what it
/// computes, for profiles.
mlir::Value launch(TensorBuilder &b, mlir::func::FuncOp kernel, mlir::Value grid,
                   mlir::ValueRange inputs, mlir::RankedTensorType type, TensorBuilder::Sizes sizes,
                   llvm::StringRef op);

/// Replaces `op` by the launch of a kernel, if one computes it.
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 mlir::linalg::MatmulOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 moe::GroupedMatmulOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 attn::AttentionOp op);

} // namespace moec
