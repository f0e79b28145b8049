#pragma once
// Tensor maps: what TMA knows of a tensor in global memory and of the boxes it
// copies. In memory they are 128 opaque bytes.

#include "memory/Swizzle.h"

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

  Element element = Element::U8;
  int rank = 1;
  uint64_t address = 0;
  Sizes size{};          ///< of the tensor, in elements; the first dimension is contiguous
  Sizes stride{};        ///< bytes from one element of a dimension to the next; [0] is one element
  Sizes box{};           ///< elements
  Sizes elementStride{}; ///< the box takes every n-th element
  Swizzle swizzle = Swizzle::None;
  bool fillsWithNan = false; ///< outside of the tensor; otherwise zeros

  uint32_t elementBytes() const;
  /// Elements of the box that are copied along a dimension.
  uint64_t copied(int dimension) const {
    return (box[dimension] + elementStride[dimension] - 1) / elementStride[dimension];
  }
  /// Bytes of a box in shared memory, within the tensor or not.
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

/// Calls `visit(row)` for the rows of the box at `corner`, in the order in which
/// they lie in shared memory.
template <class Visit>
void forBoxRows(const TensorMap &map, const std::array<int32_t, TensorMap::kMostDimensions> &corner,
                Visit visit) {
  uint32_t elementBytes = map.elementBytes();
  uint64_t rows = 1;
  for (int d = 1; d < map.rank; ++d)
    rows *= map.copied(d);
  int64_t width = static_cast<int64_t>(map.box[0]);
  int64_t first = corner[0] < 0 ? -int64_t{corner[0]} : 0;
  int64_t last = static_cast<int64_t>(map.size[0]) - corner[0];
  first = first < width ? first : width;
  last = last < width ? last : width;
  for (uint64_t number = 0; number < rows; ++number) {
    BoxRow row;
    row.bytes = static_cast<uint32_t>(width * elementBytes);
    row.offset = static_cast<uint32_t>(number * row.bytes);
    row.address = map.address + static_cast<uint64_t>(corner[0] + first) * elementBytes;
    bool isInside = first < last;
    uint64_t rest = number;
    for (int d = 1; d < map.rank; ++d) {
      int64_t index = corner[d] + static_cast<int64_t>(rest % map.copied(d) * map.elementStride[d]);
      rest /= map.copied(d);
      isInside = isInside && index >= 0 && index < static_cast<int64_t>(map.size[d]);
      row.address += static_cast<uint64_t>(index) * map.stride[d];
    }
    if (isInside) {
      row.validBegin = static_cast<uint32_t>(first * elementBytes);
      row.validEnd = static_cast<uint32_t>(last * elementBytes);
    }
    visit(row);
  }
}

} // namespace vgpu
