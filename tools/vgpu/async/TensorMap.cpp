#include "async/TensorMap.h"

#include <cstring>

namespace vgpu {
namespace {

constexpr int kMostSpace = TensorMap::kMostDimensions - 2;

/// The bytes of a map in memory.
struct Encoded {
  static constexpr uint64_t kMagic = 0x7665'6e73'6f72'6d61;

  uint64_t magic;
  uint64_t address;
  uint64_t stride[TensorMap::kMostDimensions];
  uint32_t sizeLessOne[TensorMap::kMostDimensions];
  uint16_t box[TensorMap::kMostDimensions];
  uint16_t pixels;
  int16_t lowerCorner[kMostSpace], upperCorner[kMostSpace];
  uint8_t elementStride[TensorMap::kMostDimensions];
  uint8_t element, rank, swizzle, fillsWithNan, mode;
  uint64_t checksum; ///< of all above
};
static_assert(sizeof(Encoded) <= TensorMap::kBytes);

uint64_t checksumOf(const Encoded &encoded) {
  const auto *bytes = reinterpret_cast<const uint8_t *>(&encoded);
  uint64_t sum = 0xcbf2'9ce4'8422'2325; // FNV-1a
  for (size_t byte = 0; byte < offsetof(Encoded, checksum); ++byte)
    sum = (sum ^ bytes[byte]) * 0x100'0000'01b3;
  return sum;
}

/// The bytes are opaque: whoever looks at them finds nothing.
void disguise(uint8_t *bytes) {
  for (size_t byte = 0; byte < TensorMap::kBytes; ++byte)
    bytes[byte] ^= static_cast<uint8_t>(0xa7 + 31 * byte);
}

std::string number(uint64_t value) { return std::to_string(value); }

/// Why there is no such column of pixels, or empty.
std::string whyNoIm2col(const TensorMap &map) {
  if (map.rank < 3)
    return "im2col takes 3 to 5 dimensions, not " + std::to_string(map.rank);
  // One corner has room for 16, 2 × 8, or 3 × 5 bits.
  constexpr int64_t kLimits[] = {32768, 128, 16};
  int64_t limit = kLimits[map.rank - 3];
  for (int d = 1; map.isSpace(d); ++d) {
    std::string which = " of dimension " + std::to_string(d);
    for (int64_t corner : {map.lowerCorner[d], map.upperCorner[d]})
      if (corner < -limit || corner >= limit)
        return "the corner" + which + " of the pixels' box is " + std::to_string(corner) +
               ", outside of " + std::to_string(-limit) + " to " + std::to_string(limit - 1);
    if (map.lowerCorner[d] > map.lastPixel(d))
      return "the pixels' box is empty, because" + which + " it is from " +
             std::to_string(map.lowerCorner[d]) + " to " + std::to_string(map.lastPixel(d));
  }
  if (map.pixels < 1 || map.pixels > 1024)
    return "a column has " + number(map.pixels) + " pixels, outside of 1 to 1024";
  return "";
}

} // namespace

bool isFloat(TensorMap::Element element) { return element >= TensorMap::Element::F16; }

uint32_t TensorMap::elementBytes() const {
  switch (element) {
  case Element::U8:
    return 1;
  case Element::U16:
  case Element::F16:
  case Element::BF16:
    return 2;
  case Element::U64:
  case Element::S64:
  case Element::F64:
    return 8;
  default:
    return 4;
  }
}

uint32_t TensorMap::boxRows() const {
  if (mode == Mode::Im2col)
    return pixels;
  uint64_t rows = 1;
  for (int d = 1; d < rank; ++d)
    rows *= copied(d);
  return static_cast<uint32_t>(rows);
}

uint32_t TensorMap::boxBytes() const {
  return static_cast<uint32_t>(elementBytes() * box[0] * boxRows());
}

bool TensorMap::isInBoundingBox(const Coordinates &pixel) const {
  for (int d = 1; isSpace(d); ++d)
    if (pixel[d] < lowerCorner[d] || pixel[d] > lastPixel(d))
      return false;
  return true;
}

std::string TensorMap::whyInvalid() const {
  if (rank < 1 || rank > kMostDimensions)
    return "a tensor map has 1 to 5 dimensions, not " + std::to_string(rank);
  if (address % 16)
    return "the global address is no multiple of 16";
  for (int d = 0; d < rank; ++d) {
    std::string which = " of dimension " + std::to_string(d);
    if (size[d] < 1 || size[d] > uint64_t{1} << 32)
      return "the size" + which + " is " + number(size[d]) + ", outside of 1 to 2^32";
    if (d > 0 && (stride[d] % 16 || stride[d] >= uint64_t{1} << 40))
      return "the stride" + which + " is " + number(stride[d]) +
             " bytes, but must be a multiple of 16 below 2^40";
    bool isBox = mode == Mode::Tile || d == 0;
    if (isBox && (box[d] < 1 || box[d] > 256))
      return "the box is " + number(box[d]) + which + ", outside of 1 to 256";
    if (elementStride[d] < 1 || elementStride[d] > 8)
      return "the element stride" + which + " is " + number(elementStride[d]) +
             ", outside of 1 to 8";
  }
  uint64_t rowBytes = box[0] * elementBytes();
  if (rowBytes % 16)
    return "the inner dimension of the box has " + number(rowBytes) + " bytes, no multiple of 16";
  if (swizzle != Swizzle::None && rowBytes > spanOf(swizzle))
    return "the inner dimension of the box has " + number(rowBytes) + " bytes, more than the " +
           number(spanOf(swizzle)) + " of the swizzle";
  if (fillsWithNan && !isFloat(element))
    return "only floating-point tensors can be filled with NaN";
  return mode == Mode::Im2col ? whyNoIm2col(*this) : "";
}

void TensorMap::encode(uint8_t *bytes) const {
  Encoded encoded;
  std::memset(&encoded, 0, sizeof encoded);
  encoded.magic = Encoded::kMagic;
  encoded.address = address;
  for (int d = 0; d < rank; ++d) {
    encoded.stride[d] = stride[d];
    encoded.sizeLessOne[d] = static_cast<uint32_t>(size[d] - 1);
    encoded.box[d] = static_cast<uint16_t>(box[d]);
    encoded.elementStride[d] = static_cast<uint8_t>(elementStride[d]);
  }
  encoded.pixels = static_cast<uint16_t>(pixels);
  for (int d = 0; d < kMostSpace; ++d) {
    encoded.lowerCorner[d] = static_cast<int16_t>(lowerCorner[d + 1]);
    encoded.upperCorner[d] = static_cast<int16_t>(upperCorner[d + 1]);
  }
  encoded.mode = static_cast<uint8_t>(mode);
  encoded.element = static_cast<uint8_t>(element);
  encoded.rank = static_cast<uint8_t>(rank);
  encoded.swizzle = static_cast<uint8_t>(swizzle);
  encoded.fillsWithNan = fillsWithNan;
  encoded.checksum = checksumOf(encoded);
  std::memset(bytes, 0, kBytes);
  std::memcpy(bytes, &encoded, sizeof encoded);
  disguise(bytes);
}

std::optional<TensorMap> TensorMap::decode(const uint8_t *bytes) {
  uint8_t plain[kBytes];
  std::memcpy(plain, bytes, kBytes);
  disguise(plain);
  Encoded encoded;
  std::memcpy(&encoded, plain, sizeof encoded);
  if (encoded.magic != Encoded::kMagic || encoded.checksum != checksumOf(encoded))
    return std::nullopt;
  TensorMap map;
  map.element = static_cast<Element>(encoded.element);
  map.rank = encoded.rank;
  map.address = encoded.address;
  for (int d = 0; d < map.rank; ++d) {
    map.stride[d] = encoded.stride[d];
    map.size[d] = uint64_t{encoded.sizeLessOne[d]} + 1;
    map.box[d] = encoded.box[d];
    map.elementStride[d] = encoded.elementStride[d];
  }
  map.mode = static_cast<Mode>(encoded.mode);
  map.pixels = encoded.pixels;
  for (int d = 0; d < kMostSpace; ++d) {
    map.lowerCorner[d + 1] = encoded.lowerCorner[d];
    map.upperCorner[d + 1] = encoded.upperCorner[d];
  }
  map.swizzle = static_cast<Swizzle>(encoded.swizzle);
  map.fillsWithNan = encoded.fillsWithNan;
  return map;
}

} // namespace vgpu
