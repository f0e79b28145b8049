#pragma once
// From an API call to a stream, or to the graph that the stream is captured into.

#include "driver/Driver.h"
#include "exec/Launch.h"

namespace vgpu {

CUresult submitKernel(Driver &driver, Context &context, Stream &stream,
                      std::shared_ptr<const Launch> launch);
CUresult submitAction(Driver &driver, Context &context, Stream &stream, CUgraphNodeType type,
                      std::function<void()> action);

} // namespace vgpu
