#include "runtime/Elements.h"

namespace moec::runtime {
namespace {

struct Element {
  int32_t type, bits;
  const char *name;
};

constexpr Element kElements[] = {
    {MOEC_F32, 32, "float32"},
    {MOEC_U8, 8, "uint8"},
    {MOEC_I8, 8, "int8"},
    {MOEC_U16, 16, "uint16"},
    {MOEC_I16, 16, "int16"},
    {MOEC_I32, 32, "int32"},
    {MOEC_I64, 64, "int64"},
    {MOEC_BOOL, 8, "bool"},
    {MOEC_F16, 16, "float16"},
    {MOEC_F64, 64, "float64"},
    {MOEC_U32, 32, "uint32"},
    {MOEC_U64, 64, "uint64"},
    {MOEC_BF16, 16, "bfloat16"},
    {MOEC_F8E4M3FN, 8, "float8_e4m3fn"},
    {MOEC_F8E4M3FNUZ, 8, "float8_e4m3fnuz"},
    {MOEC_F8E5M2, 8, "float8_e5m2"},
    {MOEC_F8E5M2FNUZ, 8, "float8_e5m2fnuz"},
    {MOEC_U4, 4, "uint4"},
    {MOEC_I4, 4, "int4"},
};

const Element *find(int32_t type) {
  for (const Element &element : kElements)
    if (element.type == type)
      return &element;
  return nullptr;
}

} // namespace

int64_t elementCount(const int64_t *sizes, int32_t rank) {
  // Any product of an element's bytes with the result must fit as well.
  constexpr int64_t kMost = INT64_MAX / 16;
  bool empty = false;
  int64_t count = 1;
  for (int32_t dim = 0; dim < rank; ++dim) {
    if (sizes[dim] < 0)
      return -1;
    empty |= sizes[dim] == 0;
    if (sizes[dim] && (__builtin_mul_overflow(count, sizes[dim], &count) || count > kMost))
      return -1;
  }
  return empty ? 0 : count;
}

void setStrides(const int64_t *sizes, int32_t rank, int64_t *strides) {
  int64_t stride = 1;
  for (int32_t dim = rank - 1; dim >= 0; --dim) {
    strides[dim] = stride;
    stride *= sizes[dim];
  }
}

void unpack(int32_t type, const void *packed, int64_t count, void *unpacked) {
  auto *from = static_cast<const uint8_t *>(packed);
  auto *to = static_cast<uint8_t *>(unpacked);
  for (int64_t i = 0; i < count; ++i) {
    uint8_t nibble = from[i / 2] >> (i % 2 * 4) & 15;
    to[i] = type == MOEC_I4 && nibble >= 8 ? nibble | 0xf0 : nibble;
  }
}

void pack(const void *unpacked, int64_t count, void *packed) {
  auto *from = static_cast<const uint8_t *>(unpacked);
  auto *to = static_cast<uint8_t *>(packed);
  for (int64_t i = 0; i < count; i += 2)
    to[i / 2] = (from[i] & 15) | (i + 1 < count ? from[i + 1] << 4 : 0);
}

} // namespace moec::runtime

int32_t moec_element_bits(int32_t type) {
  auto *element = moec::runtime::find(type);
  return element ? element->bits : 0;
}

const char *moec_element_name(int32_t type) {
  auto *element = moec::runtime::find(type);
  return element ? element->name : "unknown";
}
