//===- Npy.h - numpy's files -----------------------------------------------===//
#pragma once

#include "runtime/Files.h"
#include "runtime/Status.h"

#include <vector>

namespace moec::tools {

/// A tensor and its memory, row-major.
struct Array {
  int32_t type = 0; // moec_element_type
  std::vector<int64_t> sizes;
  std::string bytes;

  moec_tensor tensor();
};

/// Reads a .npy file (versions 1 to 3, little-endian, row-major) as a tensor
/// of type `wanted`. What numpy has no type for is stored as its bits: bf16 as
/// uint16, 8-bit floats as uint8; int4 and uint4 as one int8 or uint8 each.
runtime::Status readNpy(const std::string &path, int32_t wanted, Array &array);

/// Writes a tensor, which may be strided, in the same form. The file appears
/// when the caller commits it.
runtime::Status writeNpy(const moec_tensor &tensor, runtime::OutputFile &file);

} // namespace moec::tools
