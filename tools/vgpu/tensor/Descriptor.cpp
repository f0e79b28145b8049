#include "tensor/Descriptor.h"

namespace vgpu::tensor {
namespace {

constexpr uint64_t kAddress = 0x3fff;
constexpr uint64_t kReserved =
    ~(kAddress | kAddress << 16 | kAddress << 32 | uint64_t{7} << 49 | uint64_t{3} << 62);

} // namespace

MatrixDescriptor MatrixDescriptor::decode(uint64_t bits) {
  constexpr Swizzle modes[] = {Swizzle::None, Swizzle::Bytes128, Swizzle::Bytes64,
                               Swizzle::Bytes32};
  auto bytes = [&](int shift) { return static_cast<uint32_t>(bits >> shift & kAddress) * 16; };
  MatrixDescriptor descriptor;
  descriptor.start = bytes(0);
  descriptor.leading = bytes(16);
  descriptor.stride = bytes(32);
  descriptor.baseOffset = bits >> 49 & 7;
  descriptor.swizzle = modes[bits >> 62];
  return descriptor;
}

uint64_t MatrixDescriptor::encode() const {
  uint64_t mode = swizzle == Swizzle::None ? 0 : 4 - static_cast<uint64_t>(swizzle);
  auto field = [](uint32_t bytes) { return bytes / 16 & kAddress; };
  return field(start) | field(leading) << 16 | field(stride) << 32 | uint64_t{baseOffset} << 49 |
         mode << 62;
}

std::string whyInvalidDescriptor(uint64_t bits) {
  if (bits & kReserved)
    return "bits 14, 15, 30, 31, 46 to 48 and 52 to 61 of a matrix descriptor must be zero";
  MatrixDescriptor descriptor = MatrixDescriptor::decode(bits);
  if (descriptor.baseOffset && patternOf(descriptor.swizzle) < 256)
    return "a matrix descriptor without a swizzle has a base offset";
  return "";
}

} // namespace vgpu::tensor
