#pragma once
// What is known of races for one block: the usual access is checked with it at
// once, and without telling an observer.

#include "check/GlobalRaces.h"

namespace vgpu {

struct BlockRaces {
  GlobalRaces &global;
  SharedRaces *shared; ///< null where asynchronous operations take part
  const BlockClocks &clocks;
};

} // namespace vgpu
