#pragma once
#include "program/Decoding.h"

namespace vgpu {

/// Decodes `kernel` and everything it may call. `variables` are the addresses
/// of the module's global and constant variables. Throws SyntaxError. The
/// module has to outlive the program.
std::shared_ptr<const Program> decode(const ptx::Module &module, const ptx::Function &kernel,
                                      const std::map<std::string, uint64_t, std::less<>> &variables,
                                      const SelectorTable &selectors);

/// The address of a function, which is the same in all programs of a module.
uint64_t functionAddress(const ptx::Module &module, std::string_view name);

} // namespace vgpu
