// Launches.
#include "driver/Api.h"
#include "driver/LaunchRequest.h"
#include "driver/Modules.h"
#include "driver/Submit.h"

using namespace vgpu;

namespace {

CUresult launchKernel(CUfunction function, const LaunchRequest &request, void **parameters,
                      void **extra) {
  return inStream(request.stream, [&](Driver &driver, Context &context, Stream &stream) {
    std::shared_ptr<const Launch> launch;
    if (CUresult refused =
            makeLaunch(driver, context, function, request, {parameters, extra}, launch))
      return refused;
    return submitKernel(driver, context, stream, std::move(launch));
  });
}

} // namespace

VGPU_API CUresult cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY,
                                 unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
                                 unsigned dynamicShared, CUstream stream, void **parameters,
                                 void **extra) {
  return launchKernel(function,
                      {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, dynamicShared, stream},
                      parameters, extra);
}

VGPU_API CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned gridX, unsigned gridY,
                                            unsigned gridZ, unsigned blockX, unsigned blockY,
                                            unsigned blockZ, unsigned dynamicShared,
                                            CUstream stream, void **parameters) {
  return launchKernel(
      function, {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, dynamicShared, stream, true},
      parameters, nullptr);
}

VGPU_API CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
                                   void **parameters, void **extra) {
  if (!config || (config->numAttrs && !config->attrs))
    return CUDA_ERROR_INVALID_VALUE;
  LaunchRequest request{{config->gridDimX, config->gridDimY, config->gridDimZ},
                        {config->blockDimX, config->blockDimY, config->blockDimZ},
                        config->sharedMemBytes,
                        config->hStream};
  for (unsigned index = 0; index < config->numAttrs; ++index) {
    const CUlaunchAttribute &attribute = config->attrs[index];
    switch (attribute.id) {
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
      request.isCooperative = attribute.value.cooperative != 0;
      break;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: {
      auto [x, y, z] = attribute.value.clusterDim;
      if (uint64_t{x} * y * z != 1) {
        Driver::get().explain("clusters of more than one block are not supported");
        return CUDA_ERROR_INVALID_CLUSTER_SIZE;
      }
      break;
    }
    // Hints: kernels of a stream start one after the other here.
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
      break;
    default:
      Driver::get().explain("launch attribute " + std::to_string(attribute.id) +
                            " is not supported");
      return CUDA_ERROR_NOT_SUPPORTED;
    }
  }
  return launchKernel(function, request, parameters, extra);
}

VGPU_API CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void *data) {
  return inStream(handle, [&](Driver &driver, Context &context, Stream &stream) -> CUresult {
    if (!function)
      return CUDA_ERROR_INVALID_VALUE;
    return submitAction(driver, context, stream, CU_GRAPH_NODE_TYPE_HOST, [=] { function(data); });
  });
}
