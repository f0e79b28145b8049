// Conversions between types.
#include "Instructions.h"

#include <algorithm>

namespace {

template <class T> T clamped(double value) {
  if (value != value)
    return 0;
  double least = double(std::numeric_limits<T>::min()),
         most = double(std::numeric_limits<T>::max());
  if (value <= least)
    return std::numeric_limits<T>::min();
  return value >= most ? std::numeric_limits<T>::max() : T(value);
}

TEST_F(Instructions, ConversionsToIntegers) {
  check(
      "cvt.rni.s32.f32 %d, %a;",
      +[](float a) { return uint32_t(clamped<int32_t>(std::nearbyint(double(a)))); });
  check(
      "cvt.rmi.s64.f64 %d, %a;",
      +[](double a) { return uint64_t(clamped<int64_t>(std::floor(a))); });
  check(
      "cvt.rpi.u32.f32 %d, %a;", +[](float a) { return clamped<uint32_t>(std::ceil(double(a))); });
  check(
      "cvt.rzi.u16.f32 %d, %a;", +[](float a) { return clamped<uint16_t>(std::trunc(double(a))); });
  check(
      "cvt.rzi.s8.f32 %t0, %a; mov.b32 %d, %t0;",
      +[](float a) { return uint32_t(int32_t(clamped<int8_t>(std::trunc(double(a))))); });
  check(
      "cvt.sat.s8.s32 %t0, %a; mov.b32 %d, %t0;",
      +[](uint32_t a) { return uint32_t(std::clamp(int32_t(a), -128, 127)); });
  check(
      "cvt.sat.u16.s64 %d, %a;",
      +[](uint64_t a) { return uint16_t(std::clamp<int64_t>(int64_t(a), 0, 0xffff)); });
  check("cvt.s64.s16 %d, %a;", +[](uint16_t a) { return uint64_t(int64_t{int16_t(a)}); });
  check("cvt.u32.u8 %d, %a;", +[](uint16_t a) { return uint32_t(a & 0xff); });
  check(
      "cvt.pack.sat.u8.s32.b32 %d, %a, %b, %c;", +[](uint32_t a, uint32_t b, uint32_t c) {
        uint32_t high = std::clamp(int32_t(a), 0, 255), low = std::clamp(int32_t(b), 0, 255);
        return c << 16 | high << 8 | low;
      });
}

TEST_F(Instructions, ConversionsToFloats) {
  check("cvt.rn.f32.u64 %d, %a;", +[](uint64_t a) { return float(a); });
  check("cvt.rn.f64.s64 %d, %a;", +[](uint64_t a) { return double(int64_t(a)); });
  check("cvt.rn.f64.u32 %d, %a;", +[](uint32_t a) { return double(a); });
  check(
      "cvt.rz.f32.s32 %d, %a;", +[](uint32_t a) {
        auto exact = double(int32_t(a));
        auto result = float(exact);
        return std::fabs(double(result)) > std::fabs(exact) ? std::nextafter(result, 0.0f) : result;
      });
  check(
      "cvt.rp.f32.f64 %d, %a;", +[](double a) {
        auto result = float(a);
        return double(result) < a ? std::nextafter(result, INFINITY) : result;
      });
  check("cvt.sat.f32.f32 %d, %a;", saturated);
  check("cvt.rmi.f64.f64 %d, %a;", +[](double a) { return std::floor(a); });
  check(
      "cvt.rn.bf16.f32 %h0, %a; cvt.u32.u16 %d, %h0;", +[](float a) {
        uint32_t bits = std::bit_cast<uint32_t>(a);
        return a != a ? 0x7fffu : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
      });
  check(
      "cvt.rz.bf16.f32 %h0, %a; cvt.u32.u16 %d, %h0;",
      +[](float a) { return a != a ? 0x7fffu : std::bit_cast<uint32_t>(a) >> 16; });
  check(
      "cvt.rn.f16x2.f32 %d, %a, %b;", +[](float a, float b) {
        auto half = [](float x) {
          return x != x ? uint32_t{0x7fff} : std::bit_cast<uint16_t>(static_cast<_Float16>(x));
        };
        return half(a) << 16 | half(b);
      });
  check(
      "cvt.rna.tf32.f32 %d, %a;", +[](float a) {
        uint32_t bits = std::bit_cast<uint32_t>(a);
        if (a != a)
          return 0x7fffe000u;
        return std::isinf(a) ? bits : (bits + 0x1000) & ~0x1fffu;
      });
}

/// The nearest value of a small format, by trying all of its bit patterns.
uint32_t nearestOf(double value, int exponentBits, int mantissaBits, uint32_t largest) {
  if (value != value)
    return 0x7f;
  int bias = (1 << (exponentBits - 1)) - 1;
  uint32_t best = 0;
  double bestDistance = INFINITY;
  for (uint32_t bits = 0; bits <= largest; ++bits) {
    int exponent = int(bits >> mantissaBits);
    double mantissa = bits & ((1u << mantissaBits) - 1);
    double size = exponent ? std::ldexp(mantissa + (1 << mantissaBits), exponent - 1)
                           : std::ldexp(mantissa, 0);
    size = std::ldexp(size, 1 - bias - mantissaBits);
    double distance = std::fabs(std::min(std::fabs(value), 1e6) - size);
    if (distance < bestDistance || (distance == bestDistance && bits % 2 == 0)) {
      best = bits;
      bestDistance = distance;
    }
  }
  return best | (std::signbit(value) ? 0x80 : 0);
}

TEST_F(Instructions, Minifloats) {
  check(
      "cvt.rn.satfinite.e4m3x2.f32 %h0, %a, %b; cvt.u32.u16 %d, %h0;",
      +[](float a, float b) { return nearestOf(a, 4, 3, 0x7e) << 8 | nearestOf(b, 4, 3, 0x7e); });
  check(
      "cvt.rn.satfinite.e5m2x2.f32 %h0, %a, %b; cvt.u32.u16 %d, %h0;",
      +[](float a, float b) { return nearestOf(a, 5, 2, 0x7b) << 8 | nearestOf(b, 5, 2, 0x7b); });
  check(
      "cvt.rn.f16x2.e5m2x2 %t0, %a; mov.b32 %d, %t0;", +[](uint16_t a) {
        auto half = [](uint32_t bits) { return (bits & 0x7f) > 0x7c ? 0x7fffu : bits << 8; };
        return half(a >> 8) << 16 | half(a & 0xff);
      });
}

} // namespace
