//===- CpuFeatures.h - instruction sets of this machine --------------------===//
#pragma once

#include "runtime/Status.h"

#include <string_view>
#include <vector>

namespace moec::runtime {

/// The names, LLVM's, that `chip.features` may list on this architecture.
std::vector<std::string_view> knownCpuFeatures();

/// Fails when this machine lacks one of the features, naming it.
Status checkCpuFeatures(const std::string &chip, const std::vector<std::string> &features);

} // namespace moec::runtime
