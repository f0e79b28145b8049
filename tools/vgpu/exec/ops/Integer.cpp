// Integer arithmetic.
#include "exec/ops/Families.h"
#include "exec/ops/Lanes.h"

#include <limits>

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

template <class T> using Unsigned = std::make_unsigned_t<T>;
template <class T> struct WidenT;
template <> struct WidenT<int16_t> {
  using type = int32_t;
};
template <> struct WidenT<uint16_t> {
  using type = uint32_t;
};
template <> struct WidenT<int32_t> {
  using type = int64_t;
};
template <> struct WidenT<uint32_t> {
  using type = uint64_t;
};
template <> struct WidenT<int64_t> {
  using type = __int128;
};
template <> struct WidenT<uint64_t> {
  using type = unsigned __int128;
};
template <class T> using Widen = typename WidenT<T>::type;

// Arithmetic wraps around, so it is done without sign, in at least 32 bits.
template <class T> using Wrapping = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <class T> T add(T a, T b) { return T(Wrapping<T>(a) + Wrapping<T>(b)); }
template <class T> T sub(T a, T b) { return T(Wrapping<T>(a) - Wrapping<T>(b)); }
template <class T> T mulLow(T a, T b) { return T(Wrapping<T>(a) * Wrapping<T>(b)); }
template <class T> T mulHigh(T a, T b) { return T(Widen<T>(a) * Widen<T>(b) >> 8 * sizeof(T)); }
template <class T> Widen<T> mulWide(T a, T b) { return Widen<T>(a) * Widen<T>(b); }
template <class T> T madLow(T a, T b, T c) { return add(mulLow(a, b), c); }
template <class T> T madHigh(T a, T b, T c) { return add(mulHigh(a, b), c); }
template <class T> Widen<T> madWide(T a, T b, Widen<T> c) { return add(mulWide(a, b), c); }
template <class T> T minimum(T a, T b) { return a < b ? a : b; }
template <class T> T maximum(T a, T b) { return a > b ? a : b; }
template <class T> T negate(T a) { return T(0 - Wrapping<T>(a)); }
template <class T> T absolute(T a) { return a < 0 ? negate(a) : a; }
template <class T> T saturatingAdd(T a, T b) {
  T sum;
  if (!__builtin_add_overflow(a, b, &sum))
    return sum;
  return a < 0 ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
}
template <class T> T saturatingSub(T a, T b) {
  T difference;
  if (!__builtin_sub_overflow(a, b, &difference))
    return difference;
  return a < 0 ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
}
template <class T> T saturatingMadHigh(T a, T b, T c) { return saturatingAdd(mulHigh(a, b), c); }
/// The machine leaves division by zero unspecified; it gives all ones.
template <class T> T quotient(T a, T b) {
  if (b == 0)
    return T(-1);
  if (std::is_signed_v<T> && b == T(-1))
    return negate(a);
  return T(a / b);
}
template <class T> T remainder(T a, T b) {
  if (b == 0)
    return a;
  if (std::is_signed_v<T> && b == T(-1))
    return 0;
  return T(a % b);
}
template <class T> T sumOfDifference(T a, T b, T c) {
  return add(a < b ? sub(b, a) : sub(a, b), c);
}
template <class T> int64_t low24(T a) {
  uint32_t bits = uint32_t(a) << 8;
  return std::is_signed_v<T> ? int64_t(int32_t(bits) >> 8) : int64_t(bits >> 8);
}
template <class T> T mul24Low(T a, T b) { return T(low24(a) * low24(b)); }
template <class T> T mul24High(T a, T b) { return T(low24(a) * low24(b) >> 16); }
template <class T> T mad24Low(T a, T b, T c) { return add(mul24Low(a, b), c); }
template <class T> T mad24High(T a, T b, T c) { return add(mul24High(a, b), c); }

template <template <class> class Make> Handler byType(Decoding &decoding, Type type) {
  switch (type) {
  case Type::S16:
    return Make<int16_t>::handler;
  case Type::U16:
  case Type::B16:
    return Make<uint16_t>::handler;
  case Type::S32:
    return Make<int32_t>::handler;
  case Type::U32:
  case Type::B32:
    return Make<uint32_t>::handler;
  case Type::S64:
    return Make<int64_t>::handler;
  case Type::U64:
  case Type::B64:
    return Make<uint64_t>::handler;
  default:
    decoding.unsupported();
  }
}

#define VGPU_BINARY(Name, function)                                                                \
  template <class T> struct Name {                                                                 \
    static constexpr Handler handler = binary<function<T>, T, T>;                                  \
  };
#define VGPU_UNARY(Name, function)                                                                 \
  template <class T> struct Name {                                                                 \
    static constexpr Handler handler = unary<function<T>, T, T>;                                   \
  };
#define VGPU_TERNARY(Name, function)                                                               \
  template <class T> struct Name {                                                                 \
    static constexpr Handler handler = ternary<function<T>, T, T>;                                 \
  };
VGPU_BINARY(Add, add)
VGPU_BINARY(Sub, sub)
VGPU_BINARY(MulLow, mulLow)
VGPU_BINARY(MulHigh, mulHigh)
VGPU_BINARY(Min, minimum)
VGPU_BINARY(Max, maximum)
VGPU_BINARY(Div, quotient)
VGPU_BINARY(Rem, remainder)
VGPU_UNARY(Neg, negate)
VGPU_UNARY(Abs, absolute)
VGPU_TERNARY(MadLow, madLow)
VGPU_TERNARY(MadHigh, madHigh)
VGPU_TERNARY(Sad, sumOfDifference)
#undef VGPU_BINARY
#undef VGPU_UNARY
#undef VGPU_TERNARY

template <template <class> class Make> Handler plain(Decoding &decoding, size_t sources) {
  plainOperands(decoding, sources, decoding.type());
  return byType<Make>(decoding, decoding.type());
}

Type doubled(Type type) {
  switch (type) {
  case Type::S16:
    return Type::S32;
  case Type::U16:
    return Type::U32;
  case Type::S32:
    return Type::S64;
  default:
    return Type::U64;
  }
}

/// add.cc and its kin: the carry is a predicate of its own.
template <class T, bool subtracts, bool readsCarry>
Step withCarry(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const T *a = warp.lanes<T>(instruction.operands[1]);
  const T *b = warp.lanes<T>(instruction.operands[2]);
  T *to = warp.lanes<T>(instruction.operands[0]);
  LaneMask carry = readsCarry ? warp.predicate(instruction.operands[3]) : 0, carryOut = 0;
  forLanes(lanes, [&](int lane) {
    T in = carry >> lane & 1, sum;
    bool overflow = subtracts ? __builtin_sub_overflow(a[lane], b[lane], &sum)
                              : __builtin_add_overflow(a[lane], b[lane], &sum);
    overflow |=
        subtracts ? __builtin_sub_overflow(sum, in, &sum) : __builtin_add_overflow(sum, in, &sum);
    to[lane] = sum;
    carryOut |= LaneMask{overflow} << lane;
  });
  if (instruction.modifiers)
    warp.setPredicate(instruction.operands[3], lanes, carryOut);
  return Step::Next;
}

template <bool subtracts, bool readsCarry> Handler selectCarry(Decoding &decoding) {
  Type type = decoding.type();
  plainOperands(decoding, 2, type);
  decoding.out.operands[3] = decoding.builder.carry();
  decoding.out.modifiers = decoding.has("cc");
  return ptx::sizeOf(type) == 8 ? withCarry<uint64_t, subtracts, readsCarry>
                                : withCarry<uint32_t, subtracts, readsCarry>;
}

template <class T, bool isHigh, bool readsCarry>
Step madWithCarry(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  using U = Unsigned<T>;
  const U *a = warp.lanes<U>(instruction.operands[1]);
  const U *b = warp.lanes<U>(instruction.operands[2]);
  const U *c = warp.lanes<U>(instruction.operands[3]);
  U *to = warp.lanes<U>(instruction.operands[0]);
  LaneMask carry = readsCarry ? warp.predicate(instruction.operands[4]) : 0, carryOut = 0;
  forLanes(lanes, [&](int lane) {
    U product = isHigh ? U(mulHigh(T(a[lane]), T(b[lane]))) : mulLow(a[lane], b[lane]);
    U sum;
    bool overflow = __builtin_add_overflow(product, c[lane], &sum);
    overflow |= __builtin_add_overflow(sum, U(carry >> lane & 1), &sum);
    to[lane] = sum;
    carryOut |= LaneMask{overflow} << lane;
  });
  if (instruction.modifiers)
    warp.setPredicate(instruction.operands[4], lanes, carryOut);
  return Step::Next;
}

template <bool readsCarry> Handler selectMadCarry(Decoding &decoding) {
  Type type = decoding.type();
  plainOperands(decoding, 3, type);
  decoding.out.operands[4] = decoding.builder.carry();
  decoding.out.modifiers = decoding.has("cc");
  bool isHigh = decoding.has("hi");
  switch (type) {
  case Type::S32:
    return isHigh ? madWithCarry<int32_t, true, readsCarry>
                  : madWithCarry<int32_t, false, readsCarry>;
  case Type::U32:
    return isHigh ? madWithCarry<uint32_t, true, readsCarry>
                  : madWithCarry<uint32_t, false, readsCarry>;
  case Type::S64:
    return isHigh ? madWithCarry<int64_t, true, readsCarry>
                  : madWithCarry<int64_t, false, readsCarry>;
  case Type::U64:
    return isHigh ? madWithCarry<uint64_t, true, readsCarry>
                  : madWithCarry<uint64_t, false, readsCarry>;
  default:
    decoding.unsupported();
  }
}

/// add.u16x2 and its kin: two values in a register.
template <auto function, class T> uint32_t paired(uint32_t a, uint32_t b) {
  uint16_t low = function(T(a), T(b)), high = function(T(a >> 16), T(b >> 16));
  return uint32_t{high} << 16 | low;
}

template <auto onSigned, auto onUnsigned> Handler selectPaired(Decoding &decoding) {
  bool isSigned = decoding.has("s16x2");
  plainOperands(decoding, 2, Type::B32);
  return isSigned ? binary<paired<onSigned, int16_t>, uint32_t, uint32_t>
                  : binary<paired<onUnsigned, uint16_t>, uint32_t, uint32_t>;
}

bool isPaired(const Decoding &decoding) { return decoding.has("s16x2") || decoding.has("u16x2"); }

Handler selectAdd(Decoding &decoding) {
  if (isPaired(decoding))
    return selectPaired<add<int16_t>, add<uint16_t>>(decoding);
  if (ptx::isFloat(decoding.type()))
    return selectFloatArithmetic(decoding);
  if (decoding.has("cc"))
    return selectCarry<false, false>(decoding);
  Handler handler = plain<Add>(decoding, 2);
  return decoding.has("sat") ? binary<saturatingAdd<int32_t>, int32_t, int32_t> : handler;
}

Handler selectSub(Decoding &decoding) {
  if (ptx::isFloat(decoding.type()))
    return selectFloatArithmetic(decoding);
  if (decoding.has("cc"))
    return selectCarry<true, false>(decoding);
  Handler handler = plain<Sub>(decoding, 2);
  return decoding.has("sat") ? binary<saturatingSub<int32_t>, int32_t, int32_t> : handler;
}

Handler selectMulWide(Decoding &decoding) {
  Type type = decoding.type();
  decoding.expectOperands(3);
  decoding.out.type = type;
  decoding.out.operands[0] = decoding.write(0, doubled(type));
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, type);
  switch (type) {
  case Type::S16:
    return binary<mulWide<int16_t>, int32_t, int16_t>;
  case Type::U16:
    return binary<mulWide<uint16_t>, uint32_t, uint16_t>;
  case Type::S32:
    return binary<mulWide<int32_t>, int64_t, int32_t>;
  case Type::U32:
    return binary<mulWide<uint32_t>, uint64_t, uint32_t>;
  default:
    decoding.unsupported();
  }
}

Handler selectMul(Decoding &decoding) {
  if (ptx::isFloat(decoding.type()))
    return selectFloatArithmetic(decoding);
  if (decoding.has("wide"))
    return selectMulWide(decoding);
  return decoding.has("hi") ? plain<MulHigh>(decoding, 2) : plain<MulLow>(decoding, 2);
}

Handler selectMadWide(Decoding &decoding) {
  Type type = decoding.type();
  decoding.expectOperands(4);
  decoding.out.type = type;
  decoding.out.operands[0] = decoding.write(0, doubled(type));
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, type);
  decoding.out.operands[3] = decoding.read(3, doubled(type));
  switch (type) {
  case Type::S16:
    return ternary<madWide<int16_t>, int32_t, int16_t, int16_t, int32_t>;
  case Type::U16:
    return ternary<madWide<uint16_t>, uint32_t, uint16_t, uint16_t, uint32_t>;
  case Type::S32:
    return ternary<madWide<int32_t>, int64_t, int32_t, int32_t, int64_t>;
  case Type::U32:
    return ternary<madWide<uint32_t>, uint64_t, uint32_t, uint32_t, uint64_t>;
  default:
    decoding.unsupported();
  }
}

Handler selectMad(Decoding &decoding) {
  if (ptx::isFloat(decoding.type()))
    return selectFloatArithmetic(decoding);
  if (decoding.has("cc"))
    return selectMadCarry<false>(decoding);
  if (decoding.has("wide"))
    return selectMadWide(decoding);
  if (!decoding.has("hi"))
    return plain<MadLow>(decoding, 3);
  Handler handler = plain<MadHigh>(decoding, 3);
  return decoding.has("sat") ? ternary<saturatingMadHigh<int32_t>, int32_t, int32_t> : handler;
}

template <template <class> class Make, size_t sources> Handler selectAny(Decoding &decoding) {
  if (ptx::isFloat(decoding.type()))
    return selectFloatArithmetic(decoding);
  return plain<Make>(decoding, sources);
}

Handler selectMin(Decoding &decoding) {
  if (isPaired(decoding))
    return selectPaired<minimum<int16_t>, minimum<uint16_t>>(decoding);
  return selectAny<Min, 2>(decoding);
}

Handler selectMax(Decoding &decoding) {
  if (isPaired(decoding))
    return selectPaired<maximum<int16_t>, maximum<uint16_t>>(decoding);
  return selectAny<Max, 2>(decoding);
}

Handler selectMul24(Decoding &decoding) {
  plainOperands(decoding, 2, decoding.type());
  bool isSigned = ptx::isSigned(decoding.type());
  if (decoding.has("hi"))
    return isSigned ? binary<mul24High<int32_t>, int32_t, int32_t>
                    : binary<mul24High<uint32_t>, uint32_t, uint32_t>;
  return isSigned ? binary<mul24Low<int32_t>, int32_t, int32_t>
                  : binary<mul24Low<uint32_t>, uint32_t, uint32_t>;
}

Handler selectMad24(Decoding &decoding) {
  plainOperands(decoding, 3, decoding.type());
  bool isSigned = ptx::isSigned(decoding.type());
  if (decoding.has("hi"))
    return isSigned ? ternary<mad24High<int32_t>, int32_t, int32_t>
                    : ternary<mad24High<uint32_t>, uint32_t, uint32_t>;
  return isSigned ? ternary<mad24Low<int32_t>, int32_t, int32_t>
                  : ternary<mad24Low<uint32_t>, uint32_t, uint32_t>;
}

template <class A, class B> uint32_t dotOfBytes(uint32_t a, uint32_t b, uint32_t c) {
  for (int byte = 0; byte < 4; ++byte)
    c += uint32_t(int32_t(A(a >> 8 * byte)) * int32_t(B(b >> 8 * byte)));
  return c;
}

template <class A, class B, int half> uint32_t dotOfHalves(uint32_t a, uint32_t b, uint32_t c) {
  for (int pair = 0; pair < 2; ++pair)
    c += uint32_t(int32_t(A(a >> 16 * pair)) * int32_t(B(b >> (16 * half + 8 * pair))));
  return c;
}

Handler selectDot4(Decoding &decoding) {
  bool a = decoding.type(0) == Type::S32, b = decoding.type(1) == Type::S32;
  plainOperands(decoding, 3, Type::B32);
  if (a)
    return b ? ternary<dotOfBytes<int8_t, int8_t>, uint32_t, uint32_t>
             : ternary<dotOfBytes<int8_t, uint8_t>, uint32_t, uint32_t>;
  return b ? ternary<dotOfBytes<uint8_t, int8_t>, uint32_t, uint32_t>
           : ternary<dotOfBytes<uint8_t, uint8_t>, uint32_t, uint32_t>;
}

template <int half> Handler dot2(bool a, bool b) {
  if (a)
    return b ? ternary<dotOfHalves<int16_t, int8_t, half>, uint32_t, uint32_t>
             : ternary<dotOfHalves<int16_t, uint8_t, half>, uint32_t, uint32_t>;
  return b ? ternary<dotOfHalves<uint16_t, int8_t, half>, uint32_t, uint32_t>
           : ternary<dotOfHalves<uint16_t, uint8_t, half>, uint32_t, uint32_t>;
}

Handler selectDot2(Decoding &decoding) {
  bool a = decoding.type(0) == Type::S32, b = decoding.type(1) == Type::S32;
  plainOperands(decoding, 3, Type::B32);
  return decoding.has("hi") ? dot2<1>(a, b) : dot2<0>(a, b);
}

} // namespace

void addInteger(SelectorTable &table) {
  table["add"] = selectAdd;
  table["sub"] = selectSub;
  table["mul"] = selectMul;
  table["mad"] = selectMad;
  table["addc"] = selectCarry<false, true>;
  table["subc"] = selectCarry<true, true>;
  table["madc"] = selectMadCarry<true>;
  table["div"] = selectAny<Div, 2>;
  table["rem"] = selectAny<Rem, 2>;
  table["min"] = selectMin;
  table["max"] = selectMax;
  table["neg"] = selectAny<Neg, 1>;
  table["abs"] = selectAny<Abs, 1>;
  table["sad"] = selectAny<Sad, 3>;
  table["mul24"] = selectMul24;
  table["mad24"] = selectMad24;
  table["dp4a"] = selectDot4;
  table["dp2a"] = selectDot2;
}

} // namespace vgpu::VGPU_VARIANT
