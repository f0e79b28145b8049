#pragma once
#include "driver/Driver.h"
#include "driver/Image.h"

namespace vgpu {

/// Parses the image's text and places its variables in the context's device. Throws
/// SyntaxError or ImageError.
std::unique_ptr<Module> loadModule(Context &context, Image image);
/// Frees the variables and removes the module from its context.
void unloadModule(Module &module);

/// The kernel of that name, decoded when it is first asked for; null if there is none.
Kernel *findKernel(Module &module, std::string_view name);
Kernel *findKernel(Context &context, CUfunction function);

/// How many threads of a block have so many registers each.
int threadsWithRegisters(int registers);
std::optional<int> attributeOf(const Kernel &kernel, const DeviceModel &model,
                               CUfunction_attribute attribute);

} // namespace vgpu
