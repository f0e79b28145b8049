//===- ArenaPlan.h - offsets for buffers by lifetime ----------------------===//
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>

namespace moec {

/// A buffer to place: it lives in [first, last] (both included).
struct ArenaBuffer {
  int64_t bytes;
  int64_t first, last;
  int64_t offset = 0;
};

/// Gives every buffer an offset so that buffers alive at the same time do not
/// overlap: the largest first, each at the lowest place that is free. Returns
/// the bytes needed.
int64_t planArena(llvm::MutableArrayRef<ArenaBuffer> buffers);

} // namespace moec
