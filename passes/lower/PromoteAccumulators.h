//===- PromoteAccumulators.h - sums in registers ---------------------------===//
#pragma once

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace moec {

/// Keeps elements that `loop` loads and stores in every iteration, and accesses
/// by nothing else, in values that the loop carries: a load before it and a
/// store behind it remain. Other memrefs that `loop` accesses must not overlap
/// with theirs.
void promoteAccumulators(mlir::RewriterBase &rewriter, mlir::scf::ForOp loop);

} // namespace moec
