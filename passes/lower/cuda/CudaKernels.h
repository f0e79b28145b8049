//===- CudaKernels.h - the operations that have a kernel of blocks ---------===//
#pragma once

#include "dialects/attn/AttnDialect.h"
#include "dialects/moe/MoeDialect.h"
#include "lib/kernels/cuda/BlockBuilder.h"
#include "lib/kernels/cuda/CudaChip.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// The kernels of a module, for all chips of its artifact.
class CudaKernels : public KernelTable {
public:
  CudaKernels(mlir::ModuleOp module, const CudaChip &chip, const OperandTypes &operands)
      : KernelTable(module, operands), chip(chip) {}

  /// As KernelTable::kernel. Where buildForHopper(builder) of a spec makes
  /// another kernel than null, that takes its place in code for sm_90a.
  template <typename Spec> mlir::func::FuncOp kernel(const Spec &spec) {
    declareSharedMemory();
    size_t known = kernelCount();
    mlir::func::FuncOp kernel = KernelTable::kernel(spec);
    if constexpr (requires(mlir::OpBuilder &b) { spec.buildForHopper(b); }) {
      mlir::OpBuilder builder(kernel.getContext());
      if (kernelCount() != known && chip.name == "sm_90a")
        if (mlir::func::FuncOp variant = spec.buildForHopper(builder))
          cuda::addVariant(kernel, variant, chip.name);
    }
    return kernel;
  }

private:
  void declareSharedMemory();

  const CudaChip &chip;
};

/// Replaces the rotation of an attention's queries and the appends to its caches
/// by the launch of one kernel, if that is what it reads.
mlir::LogicalResult selectHeadUpdate(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                     attn::AttentionOp op);

/// Replaces `op` by the launch of a kernel, if one computes it.
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 mlir::linalg::MatmulOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::GroupedMatmulOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::CombineOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::PermuteOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::RouteOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::AttentionOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::CacheAppendOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::LayerNormOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::RmsNormOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 attn::RopeOp op);

} // namespace moec
