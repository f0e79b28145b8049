#pragma once
// Lanes of an access that have the same address. Reads by neighbouring lanes
// are often reads of one thing, and then checked as one.

#include "program/Program.h"

namespace vgpu {

struct AddressGroups {
  uint32_t count = 0;
  uint8_t first[kWarpSize];  ///< a lane of each group
  LaneMask lanes[kWarpSize]; ///< of each group, apart from each other
};

} // namespace vgpu
