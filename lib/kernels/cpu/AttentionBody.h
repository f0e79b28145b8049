//===- AttentionBody.h - what an attention kernel does --------------------===//
#pragma once

#include "lib/kernels/cpu/Attention.h"
#include "lib/kernels/cpu/KernelBuilder.h"

namespace moec {

/// Rows (a query of one head each) that one grid index computes: enough to pay
/// for the transposition of the keys that they share. A multiple of all lanes.
inline constexpr int64_t kAttentionRows = 64;

/// Emits the body of a kernel from its arguments.
void emitAttention(KernelBuilder &b, const Attention &op, const Chip &chip,
                   mlir::ValueRange arguments);

} // namespace moec
