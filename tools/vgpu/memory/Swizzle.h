#pragma once
// How TMA and wgmma permute 16-byte units of shared memory, so that columns of
// a tile spread over the banks.

#include <cstdint>

namespace vgpu {

/// The number of the mode is that of tensor maps.
enum class Swizzle : uint8_t { None, Bytes32, Bytes64, Bytes128 };

/// Bytes of a row of the pattern; 16 without one.
constexpr uint32_t spanOf(Swizzle swizzle) { return 16u << static_cast<int>(swizzle); }

/// Bytes after which the pattern repeats: addresses of tiles are multiples of it.
constexpr uint32_t patternOf(Swizzle swizzle) {
  return swizzle == Swizzle::None ? 16 : 8 * spanOf(swizzle);
}

/// The unit within its row (bits 4 …) is xored with the number of the 128-byte
/// line (bits 7 …), as far as the mode's span goes. `baseOffset` is the line
/// modulo 8 where the pattern starts.
constexpr uint32_t swizzled(Swizzle swizzle, uint32_t address, uint32_t baseOffset = 0) {
  uint32_t units = spanOf(swizzle) / 16 - 1;
  return address ^ (((address >> 7) - baseOffset) & units) << 4;
}

} // namespace vgpu
