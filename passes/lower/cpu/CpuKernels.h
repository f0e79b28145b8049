//===- CpuKernels.h - the operations that have a kernel for the CPU --------===//
#pragma once

#include "dialects/attn/AttnDialect.h"
#include "dialects/moe/MoeDialect.h"
#include "lib/kernels/cpu/Chip.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// The kernels of a module for a chip.
class CpuKernels : public KernelTable {
public:
  CpuKernels(mlir::ModuleOp module, const Chip &chip, const OperandTypes &operands)
      : KernelTable(module, operands), chip(chip) {}

  const Chip &getChip() const { return chip; }

  template <typename Spec> mlir::func::FuncOp kernel(const Spec &spec) {
    return KernelTable::kernel(spec, chip);
  }

  /// The launch that made int8 of the rows `x` in blocks of `block`; null before.
  rt::LaunchOp &quantised(mlir::Value x, int64_t block) { return quantisedRows[{x, block}]; }

private:
  const Chip &chip;
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, rt::LaunchOp> quantisedRows;
};

/// Replaces `op` by the launch of a kernel, if one computes it.
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 mlir::linalg::MatmulOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::CombineOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::GroupedMatmulOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::PermuteOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::RouteOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::AttentionOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::CacheAppendOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::LayerNormOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::LinearAttentionOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::RmsNormOp op);
mlir::LogicalResult selectKernel(CpuKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::RopeOp op);

} // namespace moec
