// The approximations of the special function unit. The machine's results are
// correct to the last bit or the one before, which lies within the documented
// errors; a chip's differ in the last bits. Adversarial results are anywhere
// within the documented errors.
#include "exec/ops/Families.h"
#include "exec/ops/Float.h"
#include "tensor/Numerics.h"

#include <numbers>

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

// Each function: the result for f32, the exact one, and `slack`: by how much an
// adversarial result of type T for x may differ from the exact one before it is
// rounded. It is the error that the PTX ISA documents, less half a unit in the last
// place.

struct Exp2 {
  static float value(float x) { return std::exp2(x); }
  static double exact(double x) { return std::exp2(x); }
  /// 2 ulp; relative 2^-9.9 for f16, 2^-7 for bf16.
  template <class T> static double slack(float, double exact) {
    return exact * (std::is_same_v<T, float>  ? 0x1.8p-24
                    : std::is_same_v<T, Half> ? 0x1p-11
                                              : 0x1p-8);
  }
};

struct Log2 {
  static float value(float x) { return std::log2(x); }
  static double exact(double x) { return std::log2(x); }
  /// 2^-22, absolute between 0.5 and 2 and relative outside.
  template <class T> static double slack(float, double exact) {
    return 0x1.8p-23 * std::max(1.0, std::abs(exact));
  }
};

/// Absolute 2^-20.5 in [-2 pi, 2 pi], and 2^-14.7 in [-100 pi, 100 pi]; beyond,
/// where nothing is promised, no more is used.
double slackOfCircle(float x) {
  return std::abs(x) <= 2 * std::numbers::pi_v<float> ? 0x1.4p-21 : 0x1.3p-15;
}
struct Sin {
  static float value(float x) { return static_cast<float>(exact(x)); }
  static double exact(double x) { return std::sin(x); }
  template <class T> static double slack(float x, double) { return slackOfCircle(x); }
};
struct Cos {
  static float value(float x) { return static_cast<float>(exact(x)); }
  static double exact(double x) { return std::cos(x); }
  template <class T> static double slack(float x, double) { return slackOfCircle(x); }
};

struct Tanh {
  static float value(float x) { return std::tanh(x); }
  static double exact(double x) { return std::tanh(x); }
  /// Relative 2^-11; absolute 2^-10.987 for f16, 2^-8 for bf16.
  template <class T> static double slack(float, double exact) {
    return std::is_same_v<T, float>  ? 0x1.ffp-12 * std::abs(exact)
           : std::is_same_v<T, Half> ? 0x1p-12
                                     : 0x1p-9;
  }
};

struct Rsqrt {
  static float value(float x) { return static_cast<float>(exact(x)); }
  static double exact(double x) { return 1 / std::sqrt(x); }
  /// Relative 2^-22.9.
  template <class T> static double slack(float, double exact) { return 0x1p-24 * exact; }
};

struct Sqrt {
  static float value(float x) { return std::sqrt(x); }
  static double exact(double x) { return std::sqrt(x); }
  /// Relative 2^-23.
  template <class T> static double slack(float, double exact) { return 0x1p-24 * exact; }
};

struct Rcp {
  static float value(float x) { return 1 / x; }
  static double exact(double x) { return 1 / x; }
  /// 1 ulp.
  template <class T> static double slack(float, double exact) { return 0x1p-25 * std::abs(exact); }
};

/// Off by at most `slack`: how far is drawn by the bits of the arguments, and by the seed.
float perturbed(double exact, double slack, uint32_t bits) {
  bits += static_cast<uint32_t>(tensor::numerics().seed) * 0x9e3779b9;
  bits = (bits ^ bits >> 16) * 0x7feb352d;
  bits = (bits ^ bits >> 15) * 0x846ca68b;
  double share = static_cast<int32_t>(bits) * 0x1p-31;
  return static_cast<float>(exact + slack * share);
}

/// Zeros, infinities and what is no number have results of their own, which are promised.
template <class Function, class T> float adversarial(float x) {
  float value = Function::value(x);
  if (flushed(x) == 0 || !std::isfinite(x) || !std::isfinite(value))
    return value;
  double exact = Function::exact(x);
  float result =
      perturbed(exact, Function::template slack<T>(x, exact), std::bit_cast<uint32_t>(x));
  return std::isfinite(result) ? result : value;
}

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

template <class Function, bool isAdversarial> Handler byType(Decoding &decoding) {
  constexpr auto f32 = isAdversarial ? adversarial<Function, float> : Function::value;
  constexpr auto f16 = isAdversarial ? adversarial<Function, Half> : Function::value;
  constexpr auto bf16 = isAdversarial ? adversarial<Function, Bfloat> : Function::value;
  switch (decoding.type()) {
  case Type::F32:
    return decoding.has("ftz") ? unary<single<f32, true>, float, float>
                               : unary<single<f32, false>, float, float>;
  case Type::F16:
    return unary<narrow<f16, Half>, Half, Half>;
  case Type::BF16:
    return unary<narrow<bf16, Bfloat>, Bfloat, Bfloat>;
  case Type::F16x2:
    return unary<packed<f16, Half>, uint32_t, uint32_t>;
  case Type::BF16x2:
    return unary<packed<bf16, Bfloat>, uint32_t, uint32_t>;
  default:
    decoding.unsupported();
  }
}

bool isAdversarial() { return tensor::numerics().isAdversarial; }

template <class Function> Handler byType(Decoding &decoding) {
  return isAdversarial() ? byType<Function, true>(decoding) : byType<Function, false>(decoding);
}

/// f64 approximations deliver the high 32 bits of a result of 20 mantissa bits;
/// the low ones are zero.
template <double (*function)(double)> double highHalf(double x) {
  return std::bit_cast<double>(std::bit_cast<uint64_t>(function(x)) & ~uint64_t{0xffffffff});
}
double rcpOfDouble(double x) { return 1 / x; }
double rsqrtOfDouble(double x) { return 1 / std::sqrt(x); }

/// Within 2 ulp, as documented.
float perturbedQuotient(float a, float b, float value) {
  if (value == 0 || !std::isfinite(value) || !std::isfinite(b))
    return value;
  double exact = static_cast<double>(a) / b;
  float result = perturbed(exact, 0x1.8p-24 * std::abs(exact),
                           std::bit_cast<uint32_t>(a) * 31 + std::bit_cast<uint32_t>(b));
  return std::isfinite(result) ? result : value;
}

/// Denominators above 2^126 give 0, as documented for div.approx.
template <bool isFull, bool flushes, bool isAdversarial> float quotient(float a, float b) {
  if (flushes)
    a = flushed(a), b = flushed(b);
  float size = std::abs(b);
  float result = !isFull && size > 0x1p126f && size < INFINITY
                     ? (std::isinf(a) ? NAN : std::copysign(0.0f, a) * std::copysign(1.0f, b))
                     : a / b;
  if (isAdversarial)
    result = perturbedQuotient(a, b, result);
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
    return byType<Exp2>(decoding);
  if (opcode == "lg2")
    return byType<Log2>(decoding);
  if (opcode == "sin")
    return byType<Sin>(decoding);
  if (opcode == "cos")
    return byType<Cos>(decoding);
  if (opcode == "tanh")
    return byType<Tanh>(decoding);
  if (opcode == "rsqrt")
    return byType<Rsqrt>(decoding);
  if (opcode == "sqrt")
    return byType<Sqrt>(decoding);
  return byType<Rcp>(decoding);
}

Handler selectApproximateDivision(Decoding &decoding) {
  plainOperands(decoding, 2, Type::F32);
  decoding.out.kind = InstructionClass::Special;
  auto of = [&]<bool isFull, bool flushes> {
    return isAdversarial() ? binary<quotient<isFull, flushes, true>, float, float>
                           : binary<quotient<isFull, flushes, false>, float, float>;
  };
  bool flushes = decoding.has("ftz");
  if (decoding.has("full"))
    return flushes ? of.operator()<true, true>() : of.operator()<true, false>();
  return flushes ? of.operator()<false, true>() : of.operator()<false, false>();
}

void addSpecial(SelectorTable &table) {
  for (std::string_view opcode : {"ex2", "lg2", "sin", "cos", "tanh", "rsqrt"})
    table[opcode] = selectSpecial;
}

} // namespace vgpu::VGPU_VARIANT
