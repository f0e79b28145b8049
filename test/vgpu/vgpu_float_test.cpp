// Arithmetic of floating-point numbers.
#include "Instructions.h"

#include <algorithm>
#include <cfenv>

namespace {

float withRounding(int mode, const std::function<float()> &compute) {
  std::fesetround(mode);
  volatile float result = compute();
  std::fesetround(FE_TONEAREST);
  return result;
}

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

TEST_F(Instructions, RoundingModes) {
  for (auto [name, mode] : {std::pair("rz", FE_TOWARDZERO), std::pair("rm", FE_DOWNWARD),
                            std::pair("rp", FE_UPWARD), std::pair("rn", FE_TONEAREST)}) {
    std::string suffix = std::string(".") + name + ".f32 %d, %a, %b";
    using Binary = std::function<float(float, float)>;
    check("add" + suffix + ";", Binary([mode = mode](float a, float b) {
            volatile float x = a, y = b;
            return withRounding(mode, [&] { return x + y; });
          }));
    check("mul" + suffix + ";", Binary([mode = mode](float a, float b) {
            volatile float x = a, y = b;
            return withRounding(mode, [&] { return x * y; });
          }));
    check("div" + suffix + ";", Binary([mode = mode](float a, float b) {
            volatile float x = a, y = b;
            return withRounding(mode, [&] { return x / y; });
          }));
    check("fma" + suffix + ", %c;",
          std::function<float(float, float, float)>([mode = mode](float a, float b, float c) {
            volatile float x = a, y = b, z = c;
            return withRounding(mode, [&] { return std::fma(float(x), float(y), float(z)); });
          }));
    check(std::string("sqrt.") + name + ".f32 %d, %a;",
          std::function<float(float)>([mode = mode](float a) {
            volatile float x = a;
            return withRounding(mode, [&] { return std::sqrt(float(x)); });
          }));
  }
}

TEST_F(Instructions, FloatModifiers) {
  check(
      "add.ftz.f32 %d, %a, %b;",
      +[](float a, float b) { return flushed(flushed(a) + flushed(b)); });
  check(
      "mul.ftz.sat.f32 %d, %a, %b;",
      +[](float a, float b) { return saturated(flushed(flushed(a) * flushed(b))); });
  check(
      "fma.rn.sat.f32 %d, %a, %b, %c;",
      +[](float a, float b, float c) { return saturated(std::fma(a, b, c)); });
  check("sub.f64 %d, %a, %b;", +[](double a, double b) { return a - b; });
  check("neg.f32 %d, %a;", +[](float a) { return -a; });
  check("abs.f64 %d, %a;", +[](double a) { return std::fabs(a); });
  check("copysign.f32 %d, %a, %b;", +[](float a, float b) { return std::copysign(b, a); });
  check("rcp.rn.f64 %d, %a;", +[](double a) { return 1 / a; });
}

template <bool isMaximum> float extreme(float a, float b) {
  if (a != a || b != b)
    return a != a ? b : a;
  if (a == b)
    return std::signbit(a) == isMaximum ? b : a;
  return (a < b) == isMaximum ? b : a;
}

TEST_F(Instructions, MinimumAndMaximum) {
  check("min.f32 %d, %a, %b;", +[](float a, float b) { return extreme<false>(a, b); });
  check("max.f32 %d, %a, %b;", +[](float a, float b) { return extreme<true>(a, b); });
  check(
      "max.NaN.f32 %d, %a, %b;", +[](float a, float b) {
        return a != a || b != b ? std::numeric_limits<float>::quiet_NaN() : extreme<true>(a, b);
      });
  check(
      "min.xorsign.abs.f32 %d, %a, %b;", +[](float a, float b) {
        float size = extreme<false>(std::fabs(a), std::fabs(b));
        return std::copysign(size, std::signbit(a) != std::signbit(b) ? -1.0f : 1.0f);
      });
  check(
      "min.s32 %d, %a, %b;",
      +[](uint32_t a, uint32_t b) { return uint32_t(std::min(int32_t(a), int32_t(b))); });
  check("max.u64 %d, %a, %b;", +[](uint64_t a, uint64_t b) { return std::max(a, b); });
  check(
      "min.s16 %d, %a, %b;",
      +[](uint16_t a, uint16_t b) { return uint16_t(std::min(int16_t(a), int16_t(b))); });
}

TEST_F(Instructions, Approximations) {
  auto near = [](double wanted) { return static_cast<float>(wanted); };
  check("ex2.approx.ftz.f32 %d, %a;",
        std::function<float(float)>([=](float a) { return flushed(near(std::exp2(flushed(a)))); }));
  check("rcp.approx.f32 %d, %a;",
        std::function<float(float)>([=](float a) { return near(1 / double(a)); }));
  check("rsqrt.approx.f32 %d, %a;",
        std::function<float(float)>([=](float a) { return near(1 / std::sqrt(double(a))); }));
  check("div.full.f32 %d, %a, %b;", +[](float a, float b) { return a / b; });
}

} // namespace
