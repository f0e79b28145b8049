//===- NvvmEffects.h - what operations of NVVM do to memory ----------------===//
#pragma once

#include "mlir/IR/DialectRegistry.h"

namespace moec::cuda {

/// Tells passes that look at all functions what the operations that kernels
/// consist of do to memory. Upstream leaves it unknown, which deallocation
/// refuses.
void registerNvvmEffects(mlir::DialectRegistry &registry);

} // namespace moec::cuda
