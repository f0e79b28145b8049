// min, max, neg, abs, copysign and testp.
#include "exec/ops/Families.h"
#include "exec/ops/Float.h"

#include <cmath>

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

template <class T> auto numberOf(T value) {
  if constexpr (std::is_same_v<T, double>)
    return value;
  else
    return toFloat(value);
}

template <class T> auto bitsOf(T value) { return std::bit_cast<typename Lane<T>::Bits>(value); }
template <class T> constexpr auto kSignBit = typename Lane<T>::Bits(1) << (8 * sizeof(T) - 1);
template <class T> T ofBits(typename Lane<T>::Bits bits) { return std::bit_cast<T>(bits); }

template <class T> T notANumber() {
  if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<double>(uint64_t{0x7ff8'0000'0000'0000});
  else if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<float>(0x7fffffffu);
  else
    return T{T::kNan};
}

/// -0 is less than +0; a NaN loses, unless `keepsNan`.
template <class T, bool isMaximum, bool keepsNan> T extreme(T a, T b) {
  auto x = numberOf(a), y = numberOf(b);
  bool isNanX = std::isnan(x), isNanY = std::isnan(y);
  if (isNanX || isNanY) {
    if (keepsNan || (isNanX && isNanY))
      return notANumber<T>();
    return isNanX ? b : a;
  }
  if (x == y)
    return ((bitsOf(a) & kSignBit<T>) != 0) == isMaximum ? b : a;
  return (x < y) == isMaximum ? b : a;
}

template <class T, bool isMaximum, bool keepsNan, bool flushes, bool xorsSign>
T extremeWith(T a, T b) {
  if constexpr (flushes)
    a = flushed(a), b = flushed(b);
  if constexpr (!xorsSign)
    return extreme<T, isMaximum, keepsNan>(a, b);
  auto sign = (bitsOf(a) ^ bitsOf(b)) & kSignBit<T>;
  T size = extreme<T, isMaximum, keepsNan>(ofBits<T>(bitsOf(a) & ~kSignBit<T>),
                                           ofBits<T>(bitsOf(b) & ~kSignBit<T>));
  return ofBits<T>((bitsOf(size) & ~kSignBit<T>) | sign);
}

template <class T, auto function> uint32_t pairOf(uint32_t a, uint32_t b) {
  T low = function(T{uint16_t(a)}, T{uint16_t(b)});
  T high = function(T{uint16_t(a >> 16)}, T{uint16_t(b >> 16)});
  return uint32_t{high.bits} << 16 | low.bits;
}

template <class T, bool isMaximum, bool keepsNan, bool flushes, bool xorsSign>
Handler extremeHandler(bool isPacked) {
  constexpr auto function = extremeWith<T, isMaximum, keepsNan, flushes, xorsSign>;
  if constexpr (sizeof(T) == 2)
    if (isPacked)
      return binary<pairOf<T, function>, uint32_t, uint32_t>;
  return binary<function, T, T>;
}

template <class T, bool isMaximum> Handler selectExtreme(const Decoding &decoding, bool isPacked) {
  bool keepsNan = decoding.has("NaN"), xorsSign = decoding.has("xorsign");
  if constexpr (!std::is_same_v<T, double>)
    if (decoding.has("ftz")) {
      if (xorsSign)
        return keepsNan ? extremeHandler<T, isMaximum, true, true, true>(isPacked)
                        : extremeHandler<T, isMaximum, false, true, true>(isPacked);
      return keepsNan ? extremeHandler<T, isMaximum, true, true, false>(isPacked)
                      : extremeHandler<T, isMaximum, false, true, false>(isPacked);
    }
  if (xorsSign)
    return keepsNan ? extremeHandler<T, isMaximum, true, false, true>(isPacked)
                    : extremeHandler<T, isMaximum, false, false, true>(isPacked);
  return keepsNan ? extremeHandler<T, isMaximum, true, false, false>(isPacked)
                  : extremeHandler<T, isMaximum, false, false, false>(isPacked);
}

template <bool isMaximum> Handler extremeByType(Decoding &decoding) {
  plainOperands(decoding, 2, decoding.type());
  switch (decoding.type()) {
  case Type::F32:
    return selectExtreme<float, isMaximum>(decoding, false);
  case Type::F64:
    return selectExtreme<double, isMaximum>(decoding, false);
  case Type::F16:
  case Type::F16x2:
    return selectExtreme<Half, isMaximum>(decoding, decoding.type() == Type::F16x2);
  case Type::BF16:
  case Type::BF16x2:
    return selectExtreme<Bfloat, isMaximum>(decoding, decoding.type() == Type::BF16x2);
  default:
    decoding.unsupported();
  }
}

/// neg and abs change the sign bits alone, whatever the value.
template <class Bits, Bits signs, bool isNegation> Bits changeSign(Bits bits) {
  return isNegation ? bits ^ signs : bits & ~signs;
}
template <bool isNegation> float changeFlushed(float value) {
  value = flushed(value);
  return isNegation ? -value : std::abs(value);
}

template <bool isNegation> Handler signByType(Decoding &decoding) {
  plainOperands(decoding, 1, decoding.type());
  switch (decoding.type()) {
  case Type::F32:
    if (decoding.has("ftz"))
      return unary<changeFlushed<isNegation>, float, float>;
    return unary<changeSign<uint32_t, 0x80000000, isNegation>, uint32_t, uint32_t>;
  case Type::F64:
    return unary<changeSign<uint64_t, uint64_t{1} << 63, isNegation>, uint64_t, uint64_t>;
  case Type::F16:
  case Type::BF16:
    return unary<changeSign<uint32_t, 0x8000, isNegation>, uint32_t, uint32_t>;
  case Type::F16x2:
  case Type::BF16x2:
    return unary<changeSign<uint32_t, 0x80008000, isNegation>, uint32_t, uint32_t>;
  default:
    decoding.unsupported();
  }
}

/// The value of b with the sign of a.
template <class Bits> Bits copySign(Bits a, Bits b) {
  constexpr Bits sign = Bits(1) << (8 * sizeof(Bits) - 1);
  return (b & ~sign) | (a & sign);
}

Handler selectCopySign(Decoding &decoding) {
  plainOperands(decoding, 2, decoding.type());
  return decoding.type() == Type::F64 ? binary<copySign<uint64_t>, uint64_t, uint64_t>
                                      : binary<copySign<uint32_t>, uint32_t, uint32_t>;
}

enum class Property : uint8_t { Finite, Infinite, Number, NotANumber, Normal, Subnormal };

template <class T> bool hasProperty(T value, Property property) {
  switch (property) {
  case Property::Finite:
    return std::isfinite(value);
  case Property::Infinite:
    return std::isinf(value);
  case Property::Number:
    return !std::isnan(value);
  case Property::NotANumber:
    return std::isnan(value);
  case Property::Normal:
    return std::isnormal(value);
  case Property::Subnormal:
    return std::fpclassify(value) == FP_SUBNORMAL;
  }
  return false;
}

template <class T> Step testProperty(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const T *a = warp.lanes<T>(instruction.operands[1]);
  auto property = static_cast<Property>(instruction.modifiers);
  warp.setPredicate(instruction.operands[0], lanes,
                    maskOf([=](int lane) { return hasProperty(a[lane], property); }));
  return Step::Next;
}

Handler selectTestProperty(Decoding &decoding) {
  constexpr std::pair<std::string_view, Property> names[] = {
      {"finite", Property::Finite}, {"infinite", Property::Infinite},
      {"number", Property::Number}, {"notanumber", Property::NotANumber},
      {"normal", Property::Normal}, {"subnormal", Property::Subnormal}};
  decoding.expectOperands(2);
  for (auto [name, property] : names)
    if (decoding.modifier(0) == name)
      decoding.out.modifiers = static_cast<uint32_t>(property);
  decoding.out.operands[0] = decoding.writePredicate(decoding.operand(0));
  decoding.out.operands[1] = decoding.read(1, decoding.type());
  return decoding.type() == Type::F64 ? testProperty<double> : testProperty<float>;
}

} // namespace

Handler selectFloatSign(Decoding &decoding) {
  decoding.out.kind = classOf(decoding.type());
  const std::string &opcode = decoding.source.opcode;
  if (opcode == "min")
    return extremeByType<false>(decoding);
  if (opcode == "max")
    return extremeByType<true>(decoding);
  if (opcode == "neg")
    return signByType<true>(decoding);
  if (opcode == "abs")
    return signByType<false>(decoding);
  decoding.unsupported();
}

void addFloatSign(SelectorTable &table) {
  table["copysign"] = selectCopySign;
  table["testp"] = selectTestProperty;
}

} // namespace vgpu::VGPU_VARIANT
