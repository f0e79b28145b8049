#pragma once

#include <cstdint>

namespace vgpu {

/// Bytes of shared memory, [begin, end).
struct SharedRange {
  uint32_t begin, end;
  bool operator==(const SharedRange &) const = default;
};

} // namespace vgpu
