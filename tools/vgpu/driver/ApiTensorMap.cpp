// Tensor maps. They are made on the host and need no context.
#include "async/TensorMap.h"
#include "driver/Api.h"

#include <cstring>

using namespace vgpu;

namespace {

CUresult reject(const std::string &why) {
  Driver::get().explain("tensor map: " + why);
  return CUDA_ERROR_INVALID_VALUE;
}

/// Only `rank` entries of the arrays are read; the first stride is implied.
TensorMap mapOf(CUtensorMapDataType type, cuuint32_t rank, void *address,
                const cuuint64_t *dimensions, const cuuint64_t *strides, const cuuint32_t *box,
                const cuuint32_t *elementStrides) {
  TensorMap map;
  map.element = static_cast<TensorMap::Element>(type);
  map.rank = static_cast<int>(rank);
  map.address = reinterpret_cast<uint64_t>(address);
  for (cuuint32_t d = 0; d < rank; ++d) {
    map.size[d] = dimensions[d];
    map.stride[d] = d == 0 ? map.elementBytes() : strides[d - 1];
    map.box[d] = box[d];
    map.elementStride[d] = elementStrides[d];
  }
  map.elementStride[0] = 1; // without interleaving it has no meaning
  return map;
}

} // namespace

VGPU_API CUresult cuTensorMapEncodeTiled(CUtensorMap *out, CUtensorMapDataType type,
                                         cuuint32_t rank, void *address,
                                         const cuuint64_t *dimensions, const cuuint64_t *strides,
                                         const cuuint32_t *box, const cuuint32_t *elementStrides,
                                         CUtensorMapInterleave interleave,
                                         CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                                         CUtensorMapFloatOOBfill fill) {
  return guarded([&](Driver &) -> CUresult {
    if (!out || !dimensions || !box || !elementStrides || (rank > 1 && !strides))
      return reject("a pointer is null");
    if (reinterpret_cast<uint64_t>(out) % TensorMap::kAlignment)
      return reject("its own address is no multiple of 64");
    if (rank < 1 || rank > TensorMap::kMostDimensions)
      return reject("it has 1 to 5 dimensions, not " + std::to_string(rank));
    if (type < 0 || type > CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ)
      return reject("data type " + std::to_string(type) + " is unknown or needs sm_100");
    if (interleave != CU_TENSOR_MAP_INTERLEAVE_NONE)
      return reject("interleaved layouts are not supported");
    if (swizzle < 0 || swizzle > CU_TENSOR_MAP_SWIZZLE_128B)
      return reject("swizzle " + std::to_string(swizzle) + " is unknown or needs sm_100");
    TensorMap map = mapOf(type, rank, address, dimensions, strides, box, elementStrides);
    map.swizzle = static_cast<Swizzle>(swizzle);
    map.fillsWithNan = fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;
    if (std::string why = map.whyInvalid(); !why.empty())
      return reject(why);
    map.encode(reinterpret_cast<uint8_t *>(out));
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuTensorMapReplaceAddress(CUtensorMap *out, void *address) {
  return guarded([&](Driver &) -> CUresult {
    std::optional<TensorMap> map;
    if (out)
      map = TensorMap::decode(reinterpret_cast<const uint8_t *>(out));
    if (!map)
      return reject("there is none to change");
    map->address = reinterpret_cast<uint64_t>(address);
    if (std::string why = map->whyInvalid(); !why.empty())
      return reject(why);
    map->encode(reinterpret_cast<uint8_t *>(out));
    return CUDA_SUCCESS;
  });
}
