#pragma once
// What the environment variables VGPU_… ask for.

#include <cstdint>
#include <string>

namespace vgpu {

/// The variable's text; `otherwise` where it is not set, or empty.
std::string environment(const char *name, const char *otherwise = "");

/// Whether it is set to the only text that means something. This function and those
/// below throw std::invalid_argument, in words, for other texts.
bool environmentIs(const char *name, const char *only);

/// Its number; integers are in C's notation.
uint64_t environmentInteger(const char *name, uint64_t otherwise);
double environmentNumber(const char *name, double otherwise);

} // namespace vgpu
