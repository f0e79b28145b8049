//===- GatherRows.h - the rows that a product multiplies ------------------===//
#pragma once

#include "dialects/TensorBuilder.h"
#include "dialects/moe/MoeDialect.h"

namespace moec::moe {

/// The row of x for each slot of a grouped_matmul, times its scale, in f32, if
/// it has one.
mlir::Value gatherRows(TensorBuilder &b, GroupedMatmulOp op);

} // namespace moec::moe
