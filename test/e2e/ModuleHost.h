//===- ModuleHost.h - runs a compiled module without the runtime ----------===//
#pragma once

#include "moec/Compiler.h"
#include "test/e2e/HostTensor.h"

namespace moec::e2e {

/// Executes a model through the module ABI, each launch in two ranges, the
/// later one first. Fails with the message of a failed check.
llvm::Expected<std::vector<HostTensor>> runModule(const CompiledModel &model,
                                                  std::vector<HostTensor> &inputs);

} // namespace moec::e2e
