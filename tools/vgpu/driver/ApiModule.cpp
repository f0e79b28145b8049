// Modules and functions.
#include "driver/Api.h"
#include "driver/Modules.h"
#include "ptx/Lexer.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

using namespace vgpu;

namespace {

/// Messages go where cuModuleLoadDataEx was told; false if that is nowhere.
bool fillLog(const std::string &text, unsigned count, const CUjit_option *options, void **values) {
  char *buffer = nullptr;
  size_t *bytes = nullptr;
  for (unsigned option = 0; option < count; ++option) {
    if (options[option] == CU_JIT_ERROR_LOG_BUFFER)
      buffer = static_cast<char *>(values[option]);
    if (options[option] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
      bytes = reinterpret_cast<size_t *>(&values[option]);
  }
  if (!buffer || !bytes)
    return false;
  std::snprintf(buffer, *bytes, "%s", text.c_str());
  *bytes = std::min(text.size(), *bytes);
  return true;
}

template <class Body> CUresult withKernel(CUfunction function, Body body) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    Kernel *kernel = findKernel(context, function);
    return kernel ? body(driver, context, *kernel) : CUDA_ERROR_INVALID_HANDLE;
  });
}

} // namespace

VGPU_API CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned optionCount,
                                     CUjit_option *options, void **values) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    if (!module || !image || (optionCount && (!options || !values)))
      return CUDA_ERROR_INVALID_VALUE;
    try {
      context.modules.add(loadModule(context, readImage(image, context.device.model)), module);
      return CUDA_SUCCESS;
    } catch (const ImageError &error) {
      if (!fillLog(error.what(), optionCount, options, values))
        driver.explain(error.what());
      return error.result;
    } catch (const ptx::SyntaxError &error) {
      if (!fillLog(error.what(), optionCount, options, values))
        driver.explain(error.what());
      return CUDA_ERROR_INVALID_PTX;
    }
  });
}

VGPU_API CUresult cuModuleLoadData(CUmodule *module, const void *image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

VGPU_API CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

VGPU_API CUresult cuModuleLoad(CUmodule *module, const char *path) {
  if (!path)
    return CUDA_ERROR_INVALID_VALUE;
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return CUDA_ERROR_FILE_NOT_FOUND;
  std::stringstream text;
  text << file.rdbuf();
  return cuModuleLoadData(module, text.str().c_str());
}

VGPU_API CUresult cuModuleUnload(CUmodule handle) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    Module *module = context.modules.find(handle);
    if (!module)
      return CUDA_ERROR_INVALID_HANDLE;
    context.synchronize();
    unloadModule(*module);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuModuleGetFunction(CUfunction *function, CUmodule handle, const char *name) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    if (!function || !name)
      return CUDA_ERROR_INVALID_VALUE;
    Module *module = context.modules.find(handle);
    if (!module)
      return CUDA_ERROR_INVALID_HANDLE;
    try {
      Kernel *kernel = findKernel(*module, name);
      if (!kernel)
        return CUDA_ERROR_NOT_FOUND;
      *function = reinterpret_cast<CUfunction>(kernel);
      return CUDA_SUCCESS;
    } catch (const ptx::SyntaxError &error) {
      driver.explain(error.what());
      return CUDA_ERROR_INVALID_PTX;
    }
  });
}

VGPU_API CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule handle,
                                       const char *name) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    Module *module = context.modules.find(handle);
    if (!module)
      return CUDA_ERROR_INVALID_HANDLE;
    if (!name)
      return CUDA_ERROR_INVALID_VALUE;
    auto entry = module->variables.find(name);
    if (entry == module->variables.end())
      return CUDA_ERROR_NOT_FOUND;
    if (address)
      *address = entry->second;
    if (bytes)
      *bytes = module->source->variable(name)->bytes();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute,
                                     CUfunction function) {
  return withKernel(function, [&](Driver &, Context &context, Kernel &kernel) -> CUresult {
    if (!value)
      return CUDA_ERROR_INVALID_VALUE;
    std::optional<int> known = attributeOf(kernel, context.device.model, attribute);
    if (!known)
      return CUDA_ERROR_INVALID_VALUE;
    *value = *known;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute,
                                     int value) {
  return withKernel(function, [&](Driver &, Context &context, Kernel &kernel) -> CUresult {
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: {
      int most = context.device.model.sharedPerBlockOptin -
                 static_cast<int>(kernel.program->sharedStaticBytes);
      if (value < 0 || value > most)
        return CUDA_ERROR_INVALID_VALUE;
      kernel.maxDynamicShared = value;
      return CUDA_SUCCESS;
    }
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
    }
  });
}

VGPU_API CUresult cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config) {
  return withKernel(function, [=](Driver &, Context &, Kernel &) {
    return config <= CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

VGPU_API CUresult cuFuncGetModule(CUmodule *module, CUfunction function) {
  return withKernel(function, [&](Driver &, Context &, Kernel &kernel) -> CUresult {
    if (!module)
      return CUDA_ERROR_INVALID_VALUE;
    *module = reinterpret_cast<CUmodule>(&kernel.module);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuFuncGetName(const char **name, CUfunction function) {
  return withKernel(function, [&](Driver &, Context &, Kernel &kernel) -> CUresult {
    if (!name)
      return CUDA_ERROR_INVALID_VALUE;
    *name = kernel.source.name.c_str();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset,
                                     size_t *bytes) {
  return withKernel(function, [&](Driver &, Context &, Kernel &kernel) -> CUresult {
    if (!offset || index >= kernel.program->parameterOffsets.size())
      return CUDA_ERROR_INVALID_VALUE;
    *offset = kernel.program->parameterOffsets[index];
    if (bytes)
      *bytes = kernel.source.prototype.parameters[index].bytes();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, CUfunction function, int blockSize, size_t dynamicShared, unsigned) {
  return withKernel(function, [&](Driver &, Context &context, Kernel &kernel) -> CUresult {
    if (!blocks || blockSize <= 0 || blockSize > kMaxThreadsPerBlock)
      return CUDA_ERROR_INVALID_VALUE;
    *blocks = static_cast<int>(
        Grid::blocksPerMultiprocessor(context.device.machine, static_cast<uint64_t>(blockSize),
                                      kernel.program->sharedStaticBytes + dynamicShared));
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function,
                                                              int blockSize, size_t dynamicShared) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, blockSize,
                                                              dynamicShared, 0);
}

VGPU_API CUresult cuOccupancyMaxPotentialBlockSize(int *minGridSize, int *blockSize,
                                                   CUfunction function, CUoccupancyB2DSize sharedOf,
                                                   size_t dynamicShared, int limit) {
  return withKernel(function, [&](Driver &, Context &context, Kernel &kernel) -> CUresult {
    if (!minGridSize || !blockSize)
      return CUDA_ERROR_INVALID_VALUE;
    const Machine &machine = context.device.machine;
    int most = *attributeOf(kernel, context.device.model, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    most = limit > 0 ? std::min(limit, most) : most;
    uint32_t bestThreads = 0;
    *blockSize = *minGridSize = 0;
    for (int threads = most / 32 * 32; threads > 0; threads -= 32) {
      size_t shared = sharedOf ? sharedOf(threads) : dynamicShared;
      uint32_t blocks = Grid::blocksPerMultiprocessor(machine, static_cast<uint64_t>(threads),
                                                      kernel.program->sharedStaticBytes + shared);
      if (blocks * static_cast<uint32_t>(threads) <= bestThreads)
        continue;
      bestThreads = blocks * static_cast<uint32_t>(threads);
      *blockSize = threads;
      *minGridSize = static_cast<int>(blocks * machine.multiprocessors);
    }
    return CUDA_SUCCESS;
  });
}
