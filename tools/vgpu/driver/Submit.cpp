#include "driver/Submit.h"

#include "driver/Graph.h"
#include "driver/MutationRun.h"
#include "driver/Tasks.h"

namespace vgpu {

CUresult submitKernel(Driver &driver, Context &context, Stream &stream,
                      std::shared_ptr<const Launch> launch) {
  if (stream.capture)
    return stream.capture->add(stream, GraphNode::kernel(std::move(launch)));
  if (driver.mutations)
    driver.mutations->examine(context, stream, *launch);
  context.submit(stream, std::make_shared<KernelTask>(context, std::move(launch), driver.seed));
  return CUDA_SUCCESS;
}

CUresult submitAction(Driver &, Context &context, Stream &stream, CUgraphNodeType type,
                      std::function<void()> action) {
  if (stream.capture)
    return stream.capture->add(stream, GraphNode::of(type, std::move(action)));
  context.submit(stream, std::make_shared<ActionTask>(context, std::move(action)));
  return CUDA_SUCCESS;
}

} // namespace vgpu
