#pragma once
// What machine code says of its kernels, though it cannot run here.

#include <map>
#include <string>
#include <string_view>

namespace vgpu {

/// How many registers each kernel of a cubin has; none where the file is damaged.
std::map<std::string, int, std::less<>> registersOf(std::string_view cubin);

} // namespace vgpu
