#pragma once
// Tensor maps: what TMA knows of a tensor in global memory and of the boxes it
// copies. In memory they are 128 opaque bytes.

#include "memory/Swizzle.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace vgpu {

struct TensorMap {
  static constexpr int kMostDimensions = 5;
  static constexpr size_t kBytes = 128, kAlignment = 64;

  /// The numbers of CUtensorMapDataType.
  enum class Element : uint8_t {
    U8,
    U16,
    U32,
    S32,
    U64,
    S64,
    F16,
    F32,
    F64,
    BF16,
    F32Flushed,
    TF32,
    TF32Flushed,
  };
  using Sizes = std::array<uint64_t, kMostDimensions>;
  using Coordinates = std::array<int64_t, kMostDimensions>;
  /// What a copy moves: a box, or a column of pixels of a bounding box, in the order in
  /// which a convolution takes them.
  enum class Mode : uint8_t { Tile, Im2col };

  Element element = Element::U8;
  int rank = 1;
  uint64_t address = 0;
  Sizes size{};   ///< of the tensor, in elements; the first dimension is contiguous
  Sizes stride{}; ///< bytes from one element of a dimension to the next; [0] is one element
  Mode mode = Mode::Tile;
  Sizes box{};           ///< elements; of im2col only the first counts: channels of a pixel
  Sizes elementStride{}; ///< the box takes every n-th element
  /// Of im2col. Dimensions are channels, up to three of space, and images. The bounding
  /// box of pixels is from `lowerCorner` to the last of the tensor plus `upperCorner`.
  uint32_t pixels = 0;
  Coordinates lowerCorner{}, upperCorner{};
  Swizzle swizzle = Swizzle::None;
  bool fillsWithNan = false; ///< outside of the tensor; otherwise zeros

  uint32_t elementBytes() const;
  /// Elements of the box that are copied along a dimension.
  uint64_t copied(int dimension) const {
    return (box[dimension] + elementStride[dimension] - 1) / elementStride[dimension];
  }
  /// The last pixel of the bounding box.
  int64_t lastPixel(int dimension) const {
    return static_cast<int64_t>(size[dimension]) - 1 + upperCorner[dimension];
  }
  bool isSpace(int dimension) const { return dimension > 0 && dimension < rank - 1; }
  /// Whether a column of pixels can begin there.
  bool isInBoundingBox(const Coordinates &pixel) const;
  /// Rows, and bytes, of a box in shared memory, within the tensor or not.
  uint32_t boxRows() const;
  uint32_t boxBytes() const;

  /// What the driver would reject, in words; empty for a good map.
  std::string whyInvalid() const;

  void encode(uint8_t *bytes) const;
  /// None if the bytes are no map, or were changed.
  static std::optional<TensorMap> decode(const uint8_t *bytes);
};

bool isFloat(TensorMap::Element element);

/// A row of a box: contiguous elements, of which those before `validBegin` and
/// from `validEnd` on are outside of the tensor.
struct BoxRow {
  uint64_t address = 0; ///< of the first valid element
  uint32_t offset = 0;  ///< in the box, in bytes
  uint32_t bytes = 0;
  uint32_t validBegin = 0, validEnd = 0; ///< bytes within the row
};

/// What rows that begin at `first` along the first dimension have in common.
inline BoxRow rowsFrom(const TensorMap &map, int64_t first) {
  uint32_t elementBytes = map.elementBytes();
  auto width = static_cast<int64_t>(map.box[0]);
  int64_t begin = std::clamp<int64_t>(-first, 0, width);
  int64_t end = std::clamp<int64_t>(static_cast<int64_t>(map.size[0]) - first, begin, width);
  BoxRow row;
  row.bytes = static_cast<uint32_t>(width * elementBytes);
  row.address = map.address + static_cast<uint64_t>(first + begin) * elementBytes;
  row.validBegin = static_cast<uint32_t>(begin * elementBytes);
  row.validEnd = static_cast<uint32_t>(end * elementBytes);
  return row;
}

/// Of such rows the one that begins at `first`, as number `number`.
inline BoxRow rowAt(const TensorMap &map, BoxRow row, const TensorMap::Coordinates &first,
                    uint64_t number) {
  row.offset = static_cast<uint32_t>(number * row.bytes);
  bool isInside = true;
  for (int d = 1; d < map.rank; ++d) {
    isInside &= first[d] >= 0 && first[d] < static_cast<int64_t>(map.size[d]);
    row.address += static_cast<uint64_t>(first[d]) * map.stride[d];
  }
  if (!isInside)
    row.validBegin = row.validEnd = 0;
  return row;
}

/// Calls `visit(row)` for the rows of the box at `corner`, in the order in which
/// they lie in shared memory.
template <class Visit>
void forBoxRows(const TensorMap &map, const TensorMap::Coordinates &corner, Visit visit) {
  TensorMap::Sizes copied{}, index{};
  uint64_t rows = 1;
  for (int d = 1; d < map.rank; ++d)
    rows *= copied[d] = map.copied(d);
  TensorMap::Coordinates first = corner;
  const BoxRow common = rowsFrom(map, corner[0]);
  for (uint64_t number = 0; number < rows; ++number) {
    visit(rowAt(map, common, first, number));
    for (int d = 1; d < map.rank; ++d) {
      first[d] += static_cast<int64_t>(map.elementStride[d]);
      if (++index[d] < copied[d])
        break;
      index[d] = 0;
      first[d] = corner[d];
    }
  }
}

/// The same for a column of pixels: from `pixel` on through its bounding box, and then
/// through those of the following images. Each is read `offset` away from there.
template <class Visit>
void forPixels(const TensorMap &map, TensorMap::Coordinates pixel,
               const TensorMap::Coordinates &offset, Visit visit) {
  const BoxRow common = rowsFrom(map, pixel[0]);
  for (uint32_t number = 0; number < map.pixels; ++number) {
    TensorMap::Coordinates first = pixel;
    for (int d = 1; d < map.rank; ++d)
      first[d] += offset[d];
    visit(rowAt(map, common, first, number));
    for (int d = 1; d < map.rank; ++d) {
      pixel[d] += static_cast<int64_t>(map.elementStride[d]);
      if (!map.isSpace(d) || pixel[d] <= map.lastPixel(d))
        break;
      pixel[d] = map.lowerCorner[d];
    }
  }
}

} // namespace vgpu
