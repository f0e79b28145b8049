//===- CudaKernels.h - the operations that have a kernel of blocks ---------===//
#pragma once

#include "dialects/attn/AttnDialect.h"
#include "dialects/moe/MoeDialect.h"
#include "passes/lower/KernelTable.h"

namespace moec {

/// The kernels of a module.
class CudaKernels : public KernelTable {
public:
  using KernelTable::KernelTable;

  /// As KernelTable::kernel; declares the memory that threads of a block share.
  template <typename Spec> mlir::func::FuncOp kernel(const Spec &spec) {
    declareSharedMemory();
    return KernelTable::kernel(spec);
  }

private:
  void declareSharedMemory();
};

/// Replaces `op` by the launch of a kernel, if one computes it.
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 mlir::linalg::MatmulOp op);
mlir::LogicalResult selectKernel(CudaKernels &kernels, mlir::RewriterBase &rewriter,
                                 moe::GroupedMatmulOp op);

} // namespace moec
