#pragma once
// From what a program asks for to a launch, or to the reason why not.

#include "driver/Driver.h"
#include "exec/Launch.h"

namespace vgpu {

struct LaunchRequest {
  Dim3 grid, block;
  uint32_t dynamicShared = 0;
  CUstream stream = nullptr;
  bool isCooperative = false;
};

/// As cuLaunchKernel takes them: one of the two.
struct LaunchArguments {
  void **parameters, **extra;
};

/// Checks what the driver checks, and copies the arguments.
CUresult makeLaunch(Driver &driver, Context &context, CUfunction function,
                    const LaunchRequest &request, LaunchArguments arguments,
                    std::shared_ptr<const Launch> &launch);

} // namespace vgpu
