//===- HopperMatmul.h - large products by warpgroups of sm_90a -------------===//
#pragma once

#include "lib/kernels/cuda/Matmul.h"

namespace moec::cuda {

/// Whether sm_90a has a kernel of its own for a product: one of floats by the
/// largest tile, whose rows of the matrix are whole stages.
bool hasHopperKernel(const Matmul &matmul);

/// A kernel with the arguments and grid of `matmul`'s; of its blocks some have
/// nothing to do. Each multiplies two panels by its tokens: a warpgroup copies
/// both to shared memory, one more per panel multiplies.
mlir::func::FuncOp buildHopperKernel(mlir::OpBuilder &builder, const Matmul &matmul);

} // namespace moec::cuda
