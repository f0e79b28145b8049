#include "driver/Modules.h"

#include "exec/Selectors.h"
#include "program/Decoder.h"
#include "program/Requirements.h"
#include "ptx/Parser.h"

#include <algorithm>
#include <cstring>

namespace vgpu {
namespace {

constexpr int kNewestPtxVersion = 90;

/// Global variables start as zeros, as far as their text does not say.
void placeVariables(Module &module) {
  DeviceMemory &memory = module.context.device.memory;
  for (const ptx::Variable &variable : module.source->variables) {
    if (variable.space != ptx::Space::Global && variable.space != ptx::Space::Const)
      continue;
    if (variable.isExternal)
      throw ImageError(CUDA_ERROR_NOT_FOUND,
                       "the external variable '" + variable.name + "' is defined nowhere");
    uint64_t address = memory.allocate(std::max<uint64_t>(variable.bytes(), 1), MemoryKind::Module,
                                       variable.alignment);
    if (!address)
      throw std::bad_alloc();
    module.variables[variable.name] = address;
    memory.markInitialized(address, variable.bytes());
    std::copy(variable.initial.begin(), variable.initial.end(),
              reinterpret_cast<uint8_t *>(address));
  }
}

/// Variables may hold the addresses of others, and of functions.
void relocate(Module &module) {
  for (const ptx::Variable &variable : module.source->variables)
    for (const ptx::Variable::Relocation &relocation : variable.relocations) {
      uint64_t address = functionAddress(*module.source, relocation.symbol);
      auto entry = module.variables.find(relocation.symbol);
      if (entry != module.variables.end())
        address = entry->second + static_cast<uint64_t>(relocation.addend);
      if (!address)
        throw ImageError(CUDA_ERROR_INVALID_PTX, "variable '" + variable.name +
                                                     "' needs the address of '" +
                                                     relocation.symbol + "', which is unknown");
      uint64_t at = module.variables.at(variable.name) + relocation.offset;
      std::memcpy(reinterpret_cast<void *>(at), &address, sizeof address);
    }
  for (const ptx::Variable &variable : module.source->variables)
    if (variable.space == ptx::Space::Const)
      module.context.device.memory.setReadOnly(module.variables.at(variable.name));
}

int maxThreadsOf(const Kernel &kernel) {
  const ptx::Function &source = kernel.source;
  const uint32_t *bound = source.requiredThreads[0] ? source.requiredThreads : source.maxThreads;
  int most = kernel.registers ? threadsWithRegisters(kernel.registers) : kMaxThreadsPerBlock;
  if (!bound[0])
    return most;
  return static_cast<int>(std::min<uint64_t>(uint64_t{bound[0]} * bound[1] * bound[2], most));
}

} // namespace

std::unique_ptr<Module> loadModule(Context &context, Image image) {
  std::unique_ptr<ptx::Module> source = ptx::parse(image.text);
  if (source->version > kNewestPtxVersion)
    throw ImageError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
                     "the PTX is of version " + std::to_string(source->version / 10) + "." +
                         std::to_string(source->version % 10) + ", newer than 9.0");
  if (std::string missing = missingForTarget(*source); !missing.empty())
    throw ImageError(CUDA_ERROR_INVALID_PTX, "target " + source->target + ": " + missing);
  auto module = std::make_unique<Module>(
      Module{context, std::move(source), std::move(image.registers), {}, {}});
  placeVariables(*module);
  relocate(*module);
  return module;
}

void unloadModule(Module &module) {
  for (const auto &[name, address] : module.variables)
    module.context.device.memory.release(address);
  module.context.modules.remove(&module);
}

Kernel *findKernel(Module &module, std::string_view name) {
  if (auto known = module.kernels.find(name); known != module.kernels.end())
    return known->second.get();
  const ptx::Function *function = module.source->function(name);
  if (!function || !function->isKernel)
    return nullptr;
  auto kernel = std::make_unique<Kernel>(Kernel{module, *function, nullptr});
  if (auto known = module.registers.find(name); known != module.registers.end())
    kernel->registers = known->second;
  kernel->program = decode(*module.source, *function, module.variables, selectors());
  return (module.kernels[std::string(name)] = std::move(kernel)).get();
}

Kernel *findKernel(Context &context, CUfunction function) {
  for (const auto &[handle, module] : context.modules)
    for (const auto &[name, kernel] : module->kernels)
      if (reinterpret_cast<CUfunction>(kernel.get()) == function)
        return kernel.get();
  return nullptr;
}

int threadsWithRegisters(int registers) {
  constexpr int kUnit = 256;   // that warps take
  constexpr int kQuarters = 4; // of a multiprocessor, which have registers of their own
  int perWarp = (registers * kWarpSize + kUnit - 1) / kUnit * kUnit;
  int warps = kRegistersPerBlock / kQuarters / perWarp * kQuarters;
  return std::min(warps * kWarpSize, kMaxThreadsPerBlock);
}

std::optional<int> attributeOf(const Kernel &kernel, const DeviceModel &model,
                               CUfunction_attribute attribute) {
  const Program &program = *kernel.program;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    return maxThreadsOf(kernel);
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    return static_cast<int>(program.sharedStaticBytes);
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: {
    uint64_t bytes = 0;
    for (const ptx::Variable &variable : kernel.module.source->variables)
      bytes += variable.space == ptx::Space::Const ? variable.bytes() : 0;
    return static_cast<int>(bytes);
  }
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    return static_cast<int>(program.functions[0]->localBytes);
  case CU_FUNC_ATTRIBUTE_NUM_REGS: // without machine code, the directive is a bound
    if (kernel.registers)
      return kernel.registers;
    return kernel.source.maxRegisters ? kernel.source.maxRegisters : 32;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    return 10 * model.major + model.minor;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    return std::min(kernel.maxDynamicShared,
                    model.sharedPerBlockOptin - static_cast<int>(program.sharedStaticBytes));
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    return -1;
  case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
  case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
  case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
  case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    return 0;
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    return static_cast<int>(kernel.source.clusterSize[0]);
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    return static_cast<int>(kernel.source.clusterSize[1]);
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    return static_cast<int>(kernel.source.clusterSize[2]);
  }
  return std::nullopt;
}

} // namespace vgpu
