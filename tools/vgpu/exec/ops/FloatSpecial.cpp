// The approximations of the special function unit. The machine's results are
// correct to the last bit or the one before, which lies within the documented
// errors; a chip's differ in the last bits.
#include "exec/ops/Families.h"
#include "exec/ops/Float.h"

#include <numbers>

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

float exp2Of(float x) { return std::exp2(x); }
float log2Of(float x) { return std::log2(x); }
float sinOf(float x) { return static_cast<float>(std::sin(static_cast<double>(x))); }
float cosOf(float x) { return static_cast<float>(std::cos(static_cast<double>(x))); }
float tanhOf(float x) { return std::tanh(x); }
float rsqrtOf(float x) { return static_cast<float>(1 / std::sqrt(static_cast<double>(x))); }
float sqrtOf(float x) { return std::sqrt(x); }
float rcpOf(float x) { return 1 / x; }

template <float (*function)(float), bool flushes> float single(float x) {
  float result = function(flushes ? flushed(x) : x);
  return canonical(flushes ? flushed(result) : result);
}

template <float (*function)(float), class T> T narrow(T x) {
  return fromFloat<T>(function(toFloat(x)));
}

template <float (*function)(float), class T> uint32_t packed(uint32_t x) {
  T low = narrow<function>(T{static_cast<uint16_t>(x)});
  T high = narrow<function>(T{static_cast<uint16_t>(x >> 16)});
  return uint32_t{high.bits} << 16 | low.bits;
}

template <float (*function)(float)> Handler byType(Decoding &decoding) {
  switch (decoding.type()) {
  case Type::F32:
    return decoding.has("ftz") ? unary<single<function, true>, float, float>
                               : unary<single<function, false>, float, float>;
  case Type::F16:
    return unary<narrow<function, Half>, Half, Half>;
  case Type::BF16:
    return unary<narrow<function, Bfloat>, Bfloat, Bfloat>;
  case Type::F16x2:
    return unary<packed<function, Half>, uint32_t, uint32_t>;
  case Type::BF16x2:
    return unary<packed<function, Bfloat>, uint32_t, uint32_t>;
  default:
    decoding.unsupported();
  }
}

/// f64 approximations deliver the high 32 bits of a result of 20 mantissa bits;
/// the low ones are zero.
template <double (*function)(double)> double highHalf(double x) {
  return std::bit_cast<double>(std::bit_cast<uint64_t>(function(x)) & ~uint64_t{0xffffffff});
}
double rcpOfDouble(double x) { return 1 / x; }
double rsqrtOfDouble(double x) { return 1 / std::sqrt(x); }

/// Denominators above 2^126 give 0, as documented for div.approx.
template <bool isFull, bool flushes> float quotient(float a, float b) {
  if (flushes)
    a = flushed(a), b = flushed(b);
  float size = std::abs(b);
  float result = !isFull && size > 0x1p126f && size < INFINITY
                     ? (std::isinf(a) ? NAN : std::copysign(0.0f, a) * std::copysign(1.0f, b))
                     : a / b;
  return canonical(flushes ? flushed(result) : result);
}

} // namespace

Handler selectSpecial(Decoding &decoding) {
  plainOperands(decoding, 1, decoding.type());
  decoding.out.kind = InstructionClass::Special;
  const std::string &opcode = decoding.source.opcode;
  if (decoding.type() == Type::F64) {
    if (opcode == "rcp")
      return unary<highHalf<rcpOfDouble>, double, double>;
    if (opcode == "rsqrt")
      return unary<highHalf<rsqrtOfDouble>, double, double>;
    decoding.unsupported();
  }
  if (opcode == "ex2")
    return byType<exp2Of>(decoding);
  if (opcode == "lg2")
    return byType<log2Of>(decoding);
  if (opcode == "sin")
    return byType<sinOf>(decoding);
  if (opcode == "cos")
    return byType<cosOf>(decoding);
  if (opcode == "tanh")
    return byType<tanhOf>(decoding);
  if (opcode == "rsqrt")
    return byType<rsqrtOf>(decoding);
  if (opcode == "sqrt")
    return byType<sqrtOf>(decoding);
  return byType<rcpOf>(decoding);
}

Handler selectApproximateDivision(Decoding &decoding) {
  plainOperands(decoding, 2, Type::F32);
  decoding.out.kind = InstructionClass::Special;
  if (decoding.has("full"))
    return decoding.has("ftz") ? binary<quotient<true, true>, float, float>
                               : binary<quotient<true, false>, float, float>;
  return decoding.has("ftz") ? binary<quotient<false, true>, float, float>
                             : binary<quotient<false, false>, float, float>;
}

void addSpecial(SelectorTable &table) {
  for (std::string_view opcode : {"ex2", "lg2", "sin", "cos", "tanh", "rsqrt"})
    table[opcode] = selectSpecial;
}

} // namespace vgpu::VGPU_VARIANT
