//===- DeviceMath.h - elementary functions where there is no libm ----------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"

namespace moec {

/// Expresses functions of f32, for which the CPU calls libm, by arithmetic.
void populateDeviceMathPatterns(mlir::RewritePatternSet &patterns);

/// Fails when a kernel needs a function that is left, and names the ONNX nodes.
mlir::LogicalResult verifyDeviceMath(mlir::ModuleOp module);

} // namespace moec
