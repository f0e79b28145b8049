//===- RowKernels.h - how fast attention and norms are ---------------------===//
#pragma once

#include "mlir/IR/MLIRContext.h"
#include <string>

namespace moec {

/// Prints products per second of a prefill, and bytes of keys and values per
/// second of decoding, by the number of keys.
void benchAttention(mlir::MLIRContext &context, const std::string &chip);
/// Prints the bytes that normalising rows reads and writes per second.
void benchNorm(mlir::MLIRContext &context, const std::string &chip);

} // namespace moec
