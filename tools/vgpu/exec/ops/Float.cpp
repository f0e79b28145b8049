// Floating-point arithmetic, rounded to the nearest. Other roundings are in
// FloatDirected.cpp, the approximations of the special unit in FloatSpecial.cpp.
#include "exec/ops/Float.h"
#include "exec/ops/Families.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

struct Add {
  static constexpr size_t kSources = 2;
  template <class T> static T apply(T a, T b) { return a + b; }
};
struct Sub {
  static constexpr size_t kSources = 2;
  template <class T> static T apply(T a, T b) { return a - b; }
};
struct Mul {
  static constexpr size_t kSources = 2;
  template <class T> static T apply(T a, T b) { return a * b; }
};
struct Div {
  static constexpr size_t kSources = 2;
  template <class T> static T apply(T a, T b) { return a / b; }
};
struct Fma {
  static constexpr size_t kSources = 3;
  static float apply(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static double apply(double a, double b, double c) { return __builtin_fma(a, b, c); }
};
struct Sqrt {
  static constexpr size_t kSources = 1;
  static float apply(float a) { return __builtin_sqrtf(a); }
  static double apply(double a) { return __builtin_sqrt(a); }
};
struct Rcp {
  static constexpr size_t kSources = 1;
  template <class T> static T apply(T a) { return T(1) / a; }
};

/// f32: the modifiers are parameters, so that the loops stay without branches.
template <class Op, bool flushes, bool saturates, class... Sources>
float single(Sources... sources) {
  float result = Op::apply(flushes ? flushed(sources) : sources...);
  if (flushes)
    result = flushed(result);
  return saturates ? saturated(result) : canonical(result);
}

template <class Op, class... Sources> double doubleOp(Sources... sources) {
  return Op::apply(sources...);
}

template <class T, class Op, bool flushes, bool saturates, class... Sources>
T narrow(Sources... sources) {
  auto in = [](T value) { return flushes ? flushed(value) : value; };
  T result;
  if constexpr (std::is_same_v<Op, Fma>)
    result = fusedMultiplyAdd(in(sources)...);
  else
    result = fromFloat<T>(Op::apply(toFloat(in(sources))...));
  if (flushes)
    result = flushed(result);
  return saturates ? fromFloat<T>(saturated(toFloat(result))) : result;
}

template <class T, class Op, bool flushes, bool saturates, class... Sources>
uint32_t packed(Sources... sources) {
  T low = narrow<T, Op, flushes, saturates>(T{static_cast<uint16_t>(sources)}...);
  T high = narrow<T, Op, flushes, saturates>(T{static_cast<uint16_t>(sources >> 16)}...);
  return uint32_t{high.bits} << 16 | low.bits;
}

template <class Op, class T, bool flushes, bool saturates> Handler handlerFor(bool isPacked) {
  constexpr size_t n = Op::kSources;
  if constexpr (std::is_same_v<T, float>) {
    if constexpr (n == 1)
      return unary<single<Op, flushes, saturates, float>, float, float>;
    else if constexpr (n == 2)
      return binary<single<Op, flushes, saturates, float, float>, float, float>;
    else
      return ternary<single<Op, flushes, saturates, float, float, float>, float, float>;
  } else if constexpr (n == 2) {
    return isPacked
               ? binary<packed<T, Op, flushes, saturates, uint32_t, uint32_t>, uint32_t, uint32_t>
               : binary<narrow<T, Op, flushes, saturates, T, T>, T, T>;
  } else {
    return isPacked ? ternary<packed<T, Op, flushes, saturates, uint32_t, uint32_t, uint32_t>,
                              uint32_t, uint32_t>
                    : ternary<narrow<T, Op, flushes, saturates, T, T, T>, T, T>;
  }
}

template <class Op, class T> Handler withModifiers(const Decoding &decoding, bool isPacked) {
  if (decoding.has("ftz"))
    return decoding.has("sat") ? handlerFor<Op, T, true, true>(isPacked)
                               : handlerFor<Op, T, true, false>(isPacked);
  return decoding.has("sat") ? handlerFor<Op, T, false, true>(isPacked)
                             : handlerFor<Op, T, false, false>(isPacked);
}

template <class Op> Handler doubleHandler() {
  if constexpr (Op::kSources == 1)
    return unary<doubleOp<Op, double>, double, double>;
  else if constexpr (Op::kSources == 2)
    return binary<doubleOp<Op, double, double>, double, double>;
  else
    return ternary<doubleOp<Op, double, double, double>, double, double>;
}

template <class Op> Handler select(Decoding &decoding) {
  Type type = decoding.type();
  plainOperands(decoding, Op::kSources, type);
  decoding.out.kind = classOf(type);
  if (Handler directed = selectDirected(decoding))
    return directed;
  switch (type) {
  case Type::F32:
    return withModifiers<Op, float>(decoding, false);
  case Type::F64:
    return doubleHandler<Op>();
  default:
    break;
  }
  if constexpr (Op::kSources > 1) {
    if (type == Type::F16 || type == Type::F16x2)
      return withModifiers<Op, Half>(decoding, type == Type::F16x2);
    if (type == Type::BF16 || type == Type::BF16x2)
      return withModifiers<Op, Bfloat>(decoding, type == Type::BF16x2);
  }
  decoding.unsupported();
}

template <class T> T reluOf(T value) {
  float number = toFloat(value);
  return number > 0 || number != number ? value : fromFloat<T>(0);
}

template <class T> T fusedRelu(T a, T b, T c) { return reluOf(fusedMultiplyAdd(a, b, c)); }

template <class T> uint32_t packedFusedRelu(uint32_t a, uint32_t b, uint32_t c) {
  T low = fusedRelu(T{uint16_t(a)}, T{uint16_t(b)}, T{uint16_t(c)});
  T high = fusedRelu(T{uint16_t(a >> 16)}, T{uint16_t(b >> 16)}, T{uint16_t(c >> 16)});
  return uint32_t{high.bits} << 16 | low.bits;
}

Handler selectFma(Decoding &decoding) {
  if (!decoding.has("relu"))
    return select<Fma>(decoding);
  plainOperands(decoding, 3, decoding.type());
  decoding.out.kind = InstructionClass::Half;
  switch (decoding.type()) {
  case Type::F16:
    return ternary<fusedRelu<Half>, Half, Half>;
  case Type::BF16:
    return ternary<fusedRelu<Bfloat>, Bfloat, Bfloat>;
  case Type::F16x2:
    return ternary<packedFusedRelu<Half>, uint32_t, uint32_t>;
  case Type::BF16x2:
    return ternary<packedFusedRelu<Bfloat>, uint32_t, uint32_t>;
  default:
    decoding.unsupported();
  }
}

Handler selectDiv(Decoding &decoding) {
  if (decoding.type() == Type::F32 && (decoding.has("approx") || decoding.has("full")))
    return selectApproximateDivision(decoding);
  return select<Div>(decoding);
}

Handler selectSqrt(Decoding &decoding) {
  return decoding.has("approx") ? selectSpecial(decoding) : select<Sqrt>(decoding);
}

Handler selectRcp(Decoding &decoding) {
  return decoding.has("approx") ? selectSpecial(decoding) : select<Rcp>(decoding);
}

} // namespace

Handler selectFloatArithmetic(Decoding &decoding) {
  const std::string &opcode = decoding.source.opcode;
  if (opcode == "add")
    return select<Add>(decoding);
  if (opcode == "sub")
    return select<Sub>(decoding);
  if (opcode == "mul")
    return select<Mul>(decoding);
  if (opcode == "mad")
    return select<Fma>(decoding);
  if (opcode == "div")
    return selectDiv(decoding);
  return selectFloatSign(decoding);
}

void addFloat(SelectorTable &table) {
  table["fma"] = selectFma;
  table["sqrt"] = selectSqrt;
  table["rcp"] = selectRcp;
  addSpecial(table);
  addFloatSign(table);
}

} // namespace vgpu::VGPU_VARIANT
