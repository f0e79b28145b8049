#include "driver/LaunchRequest.h"

#include "driver/Modules.h"
#include "exec/Grid.h"

#include <cstring>

namespace vgpu {
namespace {

/// What the driver refuses before anything runs.
CUresult validate(const LaunchRequest &request, const Kernel &kernel, const Context &context) {
  const DeviceModel &model = context.device.model;
  const Dim3 &grid = request.grid, &block = request.block;
  if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z)
    return CUDA_ERROR_INVALID_VALUE;
  if (grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535 || block.x > 1024 || block.y > 1024 ||
      block.z > 64)
    return CUDA_ERROR_INVALID_VALUE;
  if (block.count() > kMaxThreadsPerBlock)
    return CUDA_ERROR_INVALID_VALUE;
  auto threads = static_cast<int>(block.count());
  if (kernel.registers && threads > threadsWithRegisters(kernel.registers))
    return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  if (threads > *attributeOf(kernel, model, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK))
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
CUresult gatherParameters(const Kernel &kernel, LaunchArguments arguments,
                          std::vector<uint8_t> &bytes) {
  auto [parameters, extra] = arguments;
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

} // namespace

CUresult makeLaunch(Driver &driver, Context &context, CUfunction function,
                    const LaunchRequest &request, LaunchArguments arguments,
                    std::shared_ptr<const Launch> &result) {
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
  if (CUresult refused = gatherParameters(*kernel, arguments, launch->parameters))
    return refused;
  launch->id = ++driver.launches;
  result = std::move(launch);
  return CUDA_SUCCESS;
}

} // namespace vgpu
