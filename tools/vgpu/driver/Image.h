#pragma once
#include "driver/Device.h"

#include <map>

namespace vgpu {

/// Why an image cannot be loaded.
struct ImageError : std::runtime_error {
  ImageError(CUresult result, const std::string &message)
      : std::runtime_error(message), result(result) {}
  CUresult result;
};

/// What an image has for a device.
struct Image {
  std::string text; ///< PTX
  /// How many registers kernels have, as machine code for the chip says.
  std::map<std::string, int, std::less<>> registers;
};

/// `image` is PTX itself, or a fatbin that has PTX for the device; of several texts,
/// the one for the newest chip is taken. Throws ImageError.
Image readImage(const void *image, const DeviceModel &model);

} // namespace vgpu
