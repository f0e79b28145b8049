//===- Windows.h - windows that slide over spatial dimensions --------------===//
#pragma once

#include "passes/raise/Operators.h"

namespace moec::raise {

/// How a kernel slides over the spatial dimensions of a tensor [N, C, D1, ...]:
/// window position o and kernel position k read input position
/// o * stride + k * dilation - padding.
struct Windows {
  Scalars input, kernel, output;
  llvm::SmallVector<int64_t> strides, dilations;
  Scalars padBegin, padEnd;

  int64_t rank() const { return input.size(); }
  /// The input position along spatial dimension `dim`, possibly outside.
  mlir::Value position(Emitter &e, int64_t dim, mlir::Value window, mlir::Value kernel) const;
};

/// Reads strides, dilations, pads, auto_pad and ceil_mode of a node whose input
/// has the given spatial sizes.
mlir::FailureOr<Windows> windowsOf(Node &node, Scalars input, Scalars kernel);

/// Whether 0 <= position < size.
mlir::Value isInside(Emitter &e, mlir::Value position, mlir::OpFoldResult size);

/// The element if all positions of the spatial dimensions are inside, else
/// `outside`. `indices` are batch, channel and positions.
mlir::Value readInside(Emitter &e, mlir::Value tensor, llvm::ArrayRef<mlir::Value> indices,
                       const Scalars &spatial, mlir::Value outside);

} // namespace moec::raise
