// Tensor maps. They are made on the host and need no context.
#include "async/TensorMap.h"
#include "driver/Api.h"

#include <algorithm>

using namespace vgpu;

namespace {

CUresult reject(const std::string &why) {
  Driver::get().explain("tensor map: " + why);
  return CUDA_ERROR_INVALID_VALUE;
}

/// What both kinds of maps are told.
struct Request {
  CUtensorMap *out;
  CUtensorMapDataType type;
  cuuint32_t rank;
  void *address;
  const cuuint64_t *dimensions, *strides;
  const cuuint32_t *elementStrides;
  CUtensorMapInterleave interleave;
  CUtensorMapSwizzle swizzle;
  CUtensorMapL2promotion promotion;
  CUtensorMapFloatOOBfill fill;
};

std::string whyInvalid(const Request &request) {
  if (!request.out || !request.dimensions || !request.elementStrides ||
      (request.rank > 1 && !request.strides))
    return "a pointer is null";
  if (reinterpret_cast<uint64_t>(request.out) % TensorMap::kAlignment)
    return "its own address is no multiple of 64";
  if (request.rank < 1 || request.rank > TensorMap::kMostDimensions)
    return "it has 1 to 5 dimensions, not " + std::to_string(request.rank);
  if (request.type > CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ)
    return "data type " + std::to_string(request.type) + " is unknown or needs sm_100";
  if (request.interleave != CU_TENSOR_MAP_INTERLEAVE_NONE)
    return "interleaved layouts are not supported";
  if (request.swizzle > CU_TENSOR_MAP_SWIZZLE_128B)
    return "swizzle " + std::to_string(request.swizzle) + " is unknown or needs sm_100";
  if (request.promotion > CU_TENSOR_MAP_L2_PROMOTION_L2_256B)
    return "L2 promotion " + std::to_string(request.promotion) + " is unknown";
  if (request.fill > CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA)
    return "filling " + std::to_string(request.fill) + " is unknown";
  return "";
}

/// Makes the map, with what `describe(map)` adds to it.
template <class Describe> CUresult encode(const Request &request, Describe describe) {
  return guarded([&](Driver &) -> CUresult {
    if (std::string why = whyInvalid(request); !why.empty())
      return reject(why);
    TensorMap map;
    map.element = static_cast<TensorMap::Element>(request.type);
    map.rank = static_cast<int>(request.rank);
    map.address = reinterpret_cast<uint64_t>(request.address);
    map.swizzle = static_cast<Swizzle>(request.swizzle);
    map.fillsWithNan = request.fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;
    // Only `rank` entries of the arrays are read; the first stride is implied.
    for (cuuint32_t d = 0; d < request.rank; ++d) {
      map.size[d] = request.dimensions[d];
      map.stride[d] = d == 0 ? map.elementBytes() : request.strides[d - 1];
      map.elementStride[d] = request.elementStrides[d];
    }
    map.elementStride[0] = 1; // without interleaving it has no meaning
    describe(map);
    if (std::string why = map.whyInvalid(); !why.empty())
      return reject(why);
    map.encode(reinterpret_cast<uint8_t *>(request.out));
    return CUDA_SUCCESS;
  });
}

} // namespace

VGPU_API CUresult cuTensorMapEncodeTiled(
    CUtensorMap *out, CUtensorMapDataType type, cuuint32_t rank, void *address,
    const cuuint64_t *dimensions, const cuuint64_t *strides, const cuuint32_t *box,
    const cuuint32_t *elementStrides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  if (!box)
    return reject("a pointer is null");
  return encode({out, type, rank, address, dimensions, strides, elementStrides, interleave, swizzle,
                 promotion, fill},
                [&](TensorMap &map) { std::copy(box, box + rank, map.box.begin()); });
}

VGPU_API CUresult cuTensorMapEncodeIm2col(
    CUtensorMap *out, CUtensorMapDataType type, cuuint32_t rank, void *address,
    const cuuint64_t *dimensions, const cuuint64_t *strides, const int *lowerCorner,
    const int *upperCorner, cuuint32_t channels, cuuint32_t pixels,
    const cuuint32_t *elementStrides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  if (!lowerCorner || !upperCorner)
    return reject("a pointer is null");
  return encode({out, type, rank, address, dimensions, strides, elementStrides, interleave, swizzle,
                 promotion, fill},
                [&](TensorMap &map) {
                  map.mode = TensorMap::Mode::Im2col;
                  map.box[0] = channels;
                  map.pixels = pixels;
                  for (int d = 1; map.isSpace(d); ++d) {
                    map.lowerCorner[d] = lowerCorner[d - 1];
                    map.upperCorner[d] = upperCorner[d - 1];
                  }
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
