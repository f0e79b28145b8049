#pragma once
#include "ptx/Syntax.h"

namespace vgpu::ptx {

/// Parses PTX text; throws SyntaxError with the line.
std::unique_ptr<Module> parse(std::string_view text);

} // namespace vgpu::ptx
