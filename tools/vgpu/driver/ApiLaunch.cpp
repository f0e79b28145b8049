// Launches.
#include "driver/Api.h"
#include "driver/Modules.h"
#include "driver/Submit.h"

#include <cstring>

using namespace vgpu;

namespace {

struct Request {
  Dim3 grid, block;
  uint32_t dynamicShared = 0;
  CUstream stream = nullptr;
  bool isCooperative = false;
};

/// What the driver refuses before anything runs.
CUresult validate(const Request &request, const Kernel &kernel, const Context &context) {
  const DeviceModel &model = context.device.model;
  const Dim3 &grid = request.grid, &block = request.block;
  if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z)
    return CUDA_ERROR_INVALID_VALUE;
  if (grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535 || block.x > 1024 || block.y > 1024 ||
      block.z > 64)
    return CUDA_ERROR_INVALID_VALUE;
  if (block.count() > kMaxThreadsPerBlock)
    return CUDA_ERROR_INVALID_VALUE;
  int bound = *attributeOf(kernel, model, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  if (block.count() > static_cast<uint64_t>(bound))
    return CUDA_ERROR_INVALID_VALUE;
  const uint32_t *required = kernel.source.requiredThreads;
  if (required[0] && (block.x != required[0] || block.y != required[1] || block.z != required[2]))
    return CUDA_ERROR_INVALID_VALUE;
  int allowed = *attributeOf(kernel, model, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
  bool needsOptin = request.dynamicShared + kernel.program->sharedStaticBytes > kSharedPerBlock &&
                    kernel.maxDynamicShared <= kSharedPerBlock;
  if (request.dynamicShared > static_cast<uint32_t>(allowed) || needsOptin)
    return CUDA_ERROR_INVALID_VALUE;
  if (kernel.program->traits.usesClusters)
    return CUDA_ERROR_NOT_SUPPORTED;
  return CUDA_SUCCESS;
}

/// The bytes that `ld.param` reads.
CUresult gatherParameters(const Kernel &kernel, void **parameters, void **extra,
                          std::vector<uint8_t> &bytes) {
  const Program &program = *kernel.program;
  bytes.assign(program.parameterBytes, 0);
  if (extra) {
    const void *buffer = nullptr;
    size_t size = 0;
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
      if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
        buffer = extra[1];
      else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE)
        size = *static_cast<size_t *>(extra[1]);
      else
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (parameters || (!buffer && size) || size < bytes.size())
      return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(bytes.data(), buffer, bytes.size());
    return CUDA_SUCCESS;
  }
  const std::vector<ptx::Variable> &formals = kernel.source.prototype.parameters;
  if (!formals.empty() && !parameters)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t index = 0; index < formals.size(); ++index) {
    if (!parameters[index])
      return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(bytes.data() + program.parameterOffsets[index], parameters[index],
                formals[index].bytes());
  }
  return CUDA_SUCCESS;
}

/// A size and a barrier, which starts as zero; freed with the launch.
std::shared_ptr<const uint64_t> makeWorkspace(DeviceMemory &memory) {
  constexpr uint64_t kBytes = 64;
  uint64_t address = memory.allocate(kBytes, MemoryKind::Module);
  memory.markInitialized(address, kBytes);
  return {new uint64_t(address), [&memory](const uint64_t *held) {
            memory.release(*held);
            delete held;
          }};
}

CUresult launchKernel(CUfunction function, const Request &request, void **parameters,
                      void **extra) {
  return inStream(request.stream, [&](Driver &driver, Context &context, Stream &stream) {
    Kernel *kernel = findKernel(context, function);
    if (!kernel)
      return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult refused = validate(request, *kernel, context)) {
      driver.explain("the launch of " + kernel->source.name + " is refused: grid " +
                     std::to_string(request.grid.count()) + ", block " +
                     std::to_string(request.block.count()) + ", dynamic shared memory " +
                     std::to_string(request.dynamicShared));
      return refused;
    }
    auto launch = std::make_shared<Launch>();
    launch->program = kernel->program;
    launch->source = kernel->module.source;
    launch->grid = request.grid;
    launch->block = request.block;
    launch->dynamicSharedBytes = request.dynamicShared;
    launch->isCooperative = request.isCooperative;
    if (request.isCooperative &&
        request.grid.count() > Grid::residentLimit(context.device.machine, *launch))
      return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    if (request.isCooperative)
      launch->workspace = makeWorkspace(context.device.memory);
    if (CUresult refused = gatherParameters(*kernel, parameters, extra, launch->parameters))
      return refused;
    launch->id = ++driver.launches;
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
  Request request{{config->gridDimX, config->gridDimY, config->gridDimZ},
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
