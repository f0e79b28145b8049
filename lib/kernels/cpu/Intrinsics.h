//===- Intrinsics.h - instructions that have no operation ------------------===//
#pragma once

#include "mlir/IR/DialectRegistry.h"

namespace moec {

/// States that llvm.call_intrinsic touches no memory: kernels use it for
/// arithmetic only, and passes refuse operations of unknown effects.
void registerIntrinsicEffects(mlir::DialectRegistry &registry);

} // namespace moec
