#pragma once
#include "driver/Device.h"

namespace vgpu {

/// Why an image cannot be loaded.
struct ImageError : std::runtime_error {
  ImageError(CUresult result, const std::string &message)
      : std::runtime_error(message), result(result) {}
  CUresult result;
};

/// The PTX text in `image`, which is PTX itself or a fatbin that has PTX for the
/// device; of several texts, the one for the newest chip. Throws ImageError.
std::string findPtx(const void *image, const DeviceModel &model);

} // namespace vgpu
