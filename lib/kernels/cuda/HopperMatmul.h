//===- HopperMatmul.h - large products by warpgroups of sm_90a -------------===//
#pragma once

#include "lib/kernels/cuda/Matmul.h"

namespace moec::cuda {

/// Whether sm_90a has a kernel of its own for a product: one of floats by the
/// largest tile, whose rows of the matrix are whole stages.
bool hasHopperKernel(const Matmul &matmul);

/// What a block multiplies.
inline constexpr int64_t kHopperPanels = 2, kHopperTokens = 128;

/// A kernel with the arguments and grid of `matmul`'s; of its blocks some have
/// nothing to do. In the others a warpgroup copies panels and tokens to shared
/// memory, and one more per panel multiplies.
mlir::func::FuncOp buildHopperKernel(mlir::OpBuilder &builder, const Matmul &matmul);

} // namespace moec::cuda
