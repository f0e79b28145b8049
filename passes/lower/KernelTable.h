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

/// Launches `kernel` into `outputs`; `op` is what it computes, for profiles.
llvm::SmallVector<mlir::Value> launch(TensorBuilder &b, mlir::func::FuncOp kernel, mlir::Value grid,
                                      mlir::ValueRange inputs, mlir::ValueRange outputs,
                                      llvm::StringRef op);
/// The same into a new tensor of `type` and `sizes`.
mlir::Value launch(TensorBuilder &b, mlir::func::FuncOp kernel, mlir::Value grid,
                   mlir::ValueRange inputs, mlir::RankedTensorType type, TensorBuilder::Sizes sizes,
                   llvm::StringRef op);

/// Whether kernels load and store elements of the type.
inline bool isKernelFloat(mlir::Type type) { return type.isF32() || type.isF16() || type.isBF16(); }
/// Whether a size can be part of a kernel's key.
inline bool isKnownSize(int64_t size) { return !mlir::ShapedType::isDynamic(size) && size > 0; }

/// Replaces `op` by the launch of a kernel, if one computes it.
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 mlir::linalg::MatmulOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 moe::CombineOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 moe::GroupedMatmulOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter, moe::RouteOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 attn::AttentionOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 attn::CacheAppendOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 attn::LayerNormOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter,
                                 attn::RmsNormOp op);
mlir::LogicalResult selectKernel(KernelTable &table, mlir::RewriterBase &rewriter, attn::RopeOp op);

} // namespace moec
