#pragma once
// Elements of packed words as f32 or s32, a vector of words at a time. Private to
// the arithmetic.

#include "tensor/Format.h"
#include "tensor/Vectors.h"

namespace vgpu::tensor {
namespace {

/// Floats of few bits, at the bottom of each word. Scaling by a power of two
/// moves the exponent; denormals come out right by themselves.
template <int exponentBits, int mantissaBits, class Words>
[[gnu::always_inline]] inline void smallFloat(const Words &bits, Words &out) {
  constexpr uint32_t sizeMask = (1u << (exponentBits + mantissaBits)) - 1;
  constexpr uint32_t scaleBits = (254u - ((1u << (exponentBits - 1)) - 1)) << 23;
  Words size = bits & sizeMask;
  Words shifted = size << (23 - mantissaBits);
  typename SameLanes<Words>::Floats value, scale;
  Words scales = scaleBits - Words{};
  std::memcpy(&value, &shifted, sizeof value);
  std::memcpy(&scale, &scales, sizeof scale);
  value *= scale;
  Words result;
  std::memcpy(&result, &value, sizeof result);
  if constexpr (exponentBits == 4) { // e4m3 has no infinity and one NaN
    result |= (Words)(size == sizeMask) & 0x7fffffff;
  } else {
    constexpr uint32_t infinity = sizeMask & ~((1u << mantissaBits) - 1);
    result |= (Words)(size >= infinity) & (shifted | 0x7f800000);
  }
  out = result | (bits >> (exponentBits + mantissaBits) & 1) << 31;
}

/// Element `index` of each word.
template <Format format, class Words>
[[gnu::always_inline]] inline void unpack(const Words &words, int index, Words &out) {
  constexpr int bits = bitsOf(format);
  if constexpr (format == Format::BF16) {
    out = index ? words & 0xffff0000 : words << 16;
  } else if constexpr (format == Format::F16) {
    smallFloat<5, 10>(words >> 16 * index & 0xffff, out);
  } else if constexpr (format == Format::E4M3) {
    smallFloat<4, 3>(words >> 8 * index & 0xff, out);
  } else if constexpr (format == Format::E5M2) {
    smallFloat<5, 2>(words >> 8 * index & 0xff, out);
  } else if constexpr (format == Format::TF32) {
    out = words & 0xffffe000;
  } else if constexpr (format == Format::S8 || format == Format::S4) {
    using Ints = typename SameLanes<Words>::Ints;
    Ints top = (Ints)(words << (32 - bits * (index + 1)));
    out = (Words)(top >> (32 - bits));
  } else if constexpr (format == Format::U8 || format == Format::U4) {
    out = words >> bits * index & ((1u << bits) - 1);
  } else {
    out = words;
  }
}

/// Calls `visit.template operator()<format>()` for the format's constant.
template <class Visit> [[gnu::always_inline]] inline void withFormat(Format format, Visit visit) {
  switch (format) {
  case Format::F16:
    return visit.template operator()<Format::F16>();
  case Format::BF16:
    return visit.template operator()<Format::BF16>();
  case Format::TF32:
    return visit.template operator()<Format::TF32>();
  case Format::E4M3:
    return visit.template operator()<Format::E4M3>();
  case Format::E5M2:
    return visit.template operator()<Format::E5M2>();
  case Format::S8:
    return visit.template operator()<Format::S8>();
  case Format::U8:
    return visit.template operator()<Format::U8>();
  case Format::S4:
    return visit.template operator()<Format::S4>();
  case Format::U4:
    return visit.template operator()<Format::U4>();
  case Format::B1:
    return visit.template operator()<Format::B1>();
  case Format::F64:
  case Format::F32:
  case Format::S32:
    return;
  }
}

} // namespace
} // namespace vgpu::tensor
