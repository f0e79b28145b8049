//===- Elements.h - sizes of elements --------------------------------------===//
#pragma once

#include "moec/runtime.h"

namespace moec::runtime {

/// Bytes of an element inside generated code, where U4 and I4 take one each.
inline int64_t unpackedBytes(int32_t type) { return (moec_element_bits(type) + 7) / 8; }

inline bool isPacked(int32_t type) { return moec_element_bits(type) == 4; }

/// Bytes of `count` elements as callers see them.
inline int64_t callerBytes(int32_t type, int64_t count) {
  return isPacked(type) ? (count + 1) / 2 : count * unpackedBytes(type);
}

/// The product, or -1 when a size is negative or it does not fit.
int64_t elementCount(const int64_t *sizes, int32_t rank);

/// Row-major strides without gaps.
void setStrides(const int64_t *sizes, int32_t rank, int64_t *strides);

/// Between two elements a byte and one.
void unpack(int32_t type, const void *packed, int64_t count, void *unpacked);
void pack(const void *unpacked, int64_t count, void *packed);

} // namespace moec::runtime
