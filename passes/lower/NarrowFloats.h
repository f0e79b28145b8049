//===- NarrowFloats.h - conversions of narrow floats as integer arithmetic -===//
#pragma once

#include "mlir/IR/PatternMatch.h"

namespace moec {

/// Rewrites arith.extf and arith.truncf of f8E4M3FN, f8E4M3FNUZ, f8E5M2,
/// f8E5M2FNUZ and f4E2M1FN, scalars and vectors. Rounding is to nearest even.
/// What is too large becomes infinity where the type has one, else NaN; in
/// f4E2M1FN, which has neither, the largest, and NaN becomes -0 as in ONNX.
void populateNarrowFloatPatterns(mlir::RewritePatternSet &patterns);

} // namespace moec
