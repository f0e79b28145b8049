#pragma once

#include "memory/Recycled.h"

#include <cstdint>

namespace vgpu {

/// A part of a bulk copy that is contiguous but for the swizzle of shared memory.
/// Without a global address it is filled.
struct BulkPiece {
  uint32_t shared; ///< before it is swizzled
  uint32_t bytes;
  uint64_t global;
};

using BulkPieces = RecycledVector<BulkPiece>;

} // namespace vgpu
