//===- HeadLaunches.h - rotations and appends before attention -------------===//
#pragma once

#include "lib/kernels/cuda/CacheAppend.h"
#include "lib/kernels/cuda/Rope.h"
#include "passes/lower/HeadOperands.h"
#include "passes/lower/cuda/CudaKernels.h"

namespace moec {

/// Whether the kernel of the append to a cache also computes the rotation.
bool isRotatedByAppend(attn::RopeOp op);

/// What a kernel, or a part of one, computes, and from what.
template <typename Kernel> struct HeadLaunch {
  Kernel kernel;
  llvm::SmallVector<mlir::Value> inputs;
  mlir::Value output;
  /// The number of blocks.
  mlir::Value grid;
};

/// Of an op of known sizes (HeadOperands.h).
HeadLaunch<cuda::Rope> prepareRope(TensorBuilder &b, attn::RopeOp op);
/// The rotation that its kernel computes, too, is erased.
HeadLaunch<cuda::CacheAppend> prepareAppend(TensorBuilder &b, attn::CacheAppendOp op);

} // namespace moec
