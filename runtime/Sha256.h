//===- Sha256.h - digests of files (FIPS 180-4) ----------------------------===//
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace moec::runtime {

class Sha256 {
public:
  using Digest = std::array<uint8_t, 32>;

  void update(const void *bytes, size_t count);
  /// Ends the computation.
  Digest finish();

private:
  void block(const uint8_t *bytes);

  std::array<uint32_t, 8> state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending{};
  uint64_t length = 0;
};

Sha256::Digest sha256(const void *bytes, size_t count);

/// Lower-case hexadecimal.
std::string toHex(const Sha256::Digest &digest);

} // namespace moec::runtime
