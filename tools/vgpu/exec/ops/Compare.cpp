// Comparison and selection.
#include "exec/ops/Families.h"
#include "exec/ops/Float.h"

#include <cmath>

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

enum class Comparison : uint8_t {
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge, // of floats: false if one is no number
  Equ,
  Neu,
  Ltu,
  Leu,
  Gtu,
  Geu, // true if one is no number
  Num,
  Nan,
};

template <Comparison comparison, class T> bool compare(T a, T b) {
  switch (comparison) {
  case Comparison::Eq:
    return a == b;
  case Comparison::Ne:
    return a < b || a > b;
  case Comparison::Lt:
    return a < b;
  case Comparison::Le:
    return a <= b;
  case Comparison::Gt:
    return a > b;
  case Comparison::Ge:
    return a >= b;
  case Comparison::Equ:
    return !(a < b || a > b);
  case Comparison::Neu:
    return !(a == b);
  case Comparison::Ltu:
    return !(a >= b);
  case Comparison::Leu:
    return !(a > b);
  case Comparison::Gtu:
    return !(a <= b);
  case Comparison::Geu:
    return !(a < b);
  case Comparison::Num:
    return !std::isnan(a) && !std::isnan(b);
  case Comparison::Nan:
    return std::isnan(a) || std::isnan(b);
  }
}

Comparison comparisonOf(Decoding &decoding) {
  constexpr std::pair<std::string_view, Comparison> names[] = {
      {"eq", Comparison::Eq},   {"ne", Comparison::Ne},   {"lt", Comparison::Lt},
      {"le", Comparison::Le},   {"gt", Comparison::Gt},   {"ge", Comparison::Ge},
      {"lo", Comparison::Lt},   {"ls", Comparison::Le},   {"hi", Comparison::Gt},
      {"hs", Comparison::Ge},   {"equ", Comparison::Equ}, {"neu", Comparison::Neu},
      {"ltu", Comparison::Ltu}, {"leu", Comparison::Leu}, {"gtu", Comparison::Gtu},
      {"geu", Comparison::Geu}, {"num", Comparison::Num}, {"nan", Comparison::Nan}};
  for (auto [name, comparison] : names)
    if (decoding.modifier(0) == name)
      return comparison;
  decoding.unsupported();
}

// What is done with the result, in the low bits of Instruction::modifiers.
enum : uint32_t { kPlain = 0, kAnd = 1, kOr = 2, kXor = 3, kCombine = 3 };

LaneMask combine(uint32_t modifiers, LaneMask value, LaneMask other) {
  switch (modifiers & kCombine) {
  case kAnd:
    return value & other;
  case kOr:
    return value | other;
  case kXor:
    return value ^ other;
  default:
    return value;
  }
}

uint32_t combinationOf(const Decoding &decoding) {
  const std::string &name = decoding.modifier(1);
  return name == "and" ? kAnd : name == "or" ? kOr : name == "xor" ? kXor : kPlain;
}

/// How a register becomes a value to compare.
template <class T, bool flushes> struct Plain {
  using Value = T;
  static T get(Storage<T> stored) {
    if constexpr (flushes)
      return flushed(Lane<T>::get(stored));
    else
      return Lane<T>::get(stored);
  }
  using Stored = Storage<T>;
};
template <class T, bool flushes, int shift> struct Narrow {
  using Stored = uint32_t;
  static float get(uint32_t stored) {
    T value{static_cast<uint16_t>(stored >> shift)};
    return toFloat(flushes ? flushed(value) : value);
  }
};

template <class Get, Comparison comparison>
LaneMask compareLanes(const Warp &warp, Operand left, Operand right) {
  const auto *a = warp.lanes<typename Get::Stored>(left);
  const auto *b = warp.lanes<typename Get::Stored>(right);
  return maskOf(
      [=](int lane) { return compare<comparison>(Get::get(a[lane]), Get::get(b[lane])); });
}

/// operands: p, q, a, b, c
template <class Get, Comparison comparison>
Step setPredicate(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  LaneMask value =
      compareLanes<Get, comparison>(warp, instruction.operands[2], instruction.operands[3]);
  LaneMask other = warp.predicate(instruction.operands[4]);
  warp.setPredicate(instruction.operands[1], lanes, combine(instruction.modifiers, ~value, other));
  warp.setPredicate(instruction.operands[0], lanes, combine(instruction.modifiers, value, other));
  return Step::Next;
}

/// Most setp: one predicate and nothing to combine.
template <class Get, Comparison comparison>
Step setOnePredicate(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  warp.setPredicate(
      instruction.operands[0], lanes,
      compareLanes<Get, comparison>(warp, instruction.operands[2], instruction.operands[3]));
  return Step::Next;
}

/// setp of two packed values: one predicate for each.
template <class T, bool flushes, Comparison comparison>
Step setPredicates(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  Operand a = instruction.operands[2], b = instruction.operands[3];
  LaneMask low = compareLanes<Narrow<T, flushes, 0>, comparison>(warp, a, b);
  LaneMask high = compareLanes<Narrow<T, flushes, 16>, comparison>(warp, a, b);
  LaneMask other = warp.predicate(instruction.operands[4]);
  warp.setPredicate(instruction.operands[0], lanes, combine(instruction.modifiers, low, other));
  warp.setPredicate(instruction.operands[1], lanes, combine(instruction.modifiers, high, other));
  return Step::Next;
}

/// set: the result is a number. operands: d, unused, a, b, c; immediate: what true is.
template <class Get, Comparison comparison>
Step setNumber(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  LaneMask value =
      compareLanes<Get, comparison>(warp, instruction.operands[2], instruction.operands[3]);
  value = combine(instruction.modifiers, value, warp.predicate(instruction.operands[4]));
  auto holds = static_cast<uint32_t>(instruction.immediate);
  eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes,
           [=](int lane) { return value >> lane & 1 ? holds : 0; });
  return Step::Next;
}

template <class T, bool flushes, Comparison comparison>
Step setNumbers(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  Operand a = instruction.operands[2], b = instruction.operands[3];
  LaneMask other = warp.predicate(instruction.operands[4]);
  LaneMask low = combine(instruction.modifiers,
                         compareLanes<Narrow<T, flushes, 0>, comparison>(warp, a, b), other);
  LaneMask high = combine(instruction.modifiers,
                          compareLanes<Narrow<T, flushes, 16>, comparison>(warp, a, b), other);
  auto holds = static_cast<uint32_t>(instruction.immediate);
  eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes, [=](int lane) {
    return (low >> lane & 1 ? holds & 0xffff : 0) | (high >> lane & 1 ? holds & 0xffff0000 : 0);
  });
  return Step::Next;
}

template <class Get> struct Single {
  template <Comparison c> static constexpr Handler predicate = setPredicate<Get, c>;
  template <Comparison c> static constexpr Handler onePredicate = setOnePredicate<Get, c>;
  template <Comparison c> static constexpr Handler number = setNumber<Get, c>;
};
template <class T, bool flushes> struct Paired {
  template <Comparison c> static constexpr Handler predicate = setPredicates<T, flushes, c>;
  template <Comparison c> static constexpr Handler onePredicate = setPredicates<T, flushes, c>;
  template <Comparison c> static constexpr Handler number = setNumbers<T, flushes, c>;
};

enum class Result : uint8_t { Predicate, OnePredicate, Number };

template <class Form, Comparison comparison> Handler handlerFor(Result result) {
  switch (result) {
  case Result::Predicate:
    return Form::template predicate<comparison>;
  case Result::OnePredicate:
    return Form::template onePredicate<comparison>;
  case Result::Number:
    return Form::template number<comparison>;
  }
  return nullptr;
}

template <class Form> Handler integerHandler(Decoding &decoding, Result result) {
  switch (comparisonOf(decoding)) {
  case Comparison::Eq:
    return handlerFor<Form, Comparison::Eq>(result);
  case Comparison::Ne:
    return handlerFor<Form, Comparison::Ne>(result);
  case Comparison::Lt:
    return handlerFor<Form, Comparison::Lt>(result);
  case Comparison::Le:
    return handlerFor<Form, Comparison::Le>(result);
  case Comparison::Gt:
    return handlerFor<Form, Comparison::Gt>(result);
  case Comparison::Ge:
    return handlerFor<Form, Comparison::Ge>(result);
  default:
    decoding.unsupported();
  }
}

template <class Form> Handler floatHandler(Decoding &decoding, Result result) {
  switch (comparisonOf(decoding)) {
  case Comparison::Equ:
    return handlerFor<Form, Comparison::Equ>(result);
  case Comparison::Neu:
    return handlerFor<Form, Comparison::Neu>(result);
  case Comparison::Ltu:
    return handlerFor<Form, Comparison::Ltu>(result);
  case Comparison::Leu:
    return handlerFor<Form, Comparison::Leu>(result);
  case Comparison::Gtu:
    return handlerFor<Form, Comparison::Gtu>(result);
  case Comparison::Geu:
    return handlerFor<Form, Comparison::Geu>(result);
  case Comparison::Num:
    return handlerFor<Form, Comparison::Num>(result);
  case Comparison::Nan:
    return handlerFor<Form, Comparison::Nan>(result);
  default:
    return integerHandler<Form>(decoding, result);
  }
}

Handler byType(Decoding &decoding, Type type, Result result) {
  bool flushes = decoding.has("ftz");
  switch (type) {
  case Type::S16:
    return integerHandler<Single<Plain<int16_t, false>>>(decoding, result);
  case Type::U16:
  case Type::B16:
    return integerHandler<Single<Plain<uint16_t, false>>>(decoding, result);
  case Type::S32:
    return integerHandler<Single<Plain<int32_t, false>>>(decoding, result);
  case Type::U32:
  case Type::B32:
    return integerHandler<Single<Plain<uint32_t, false>>>(decoding, result);
  case Type::S64:
    return integerHandler<Single<Plain<int64_t, false>>>(decoding, result);
  case Type::U64:
  case Type::B64:
    return integerHandler<Single<Plain<uint64_t, false>>>(decoding, result);
  case Type::F32:
    return flushes ? floatHandler<Single<Plain<float, true>>>(decoding, result)
                   : floatHandler<Single<Plain<float, false>>>(decoding, result);
  case Type::F64:
    return floatHandler<Single<Plain<double, false>>>(decoding, result);
  case Type::F16:
    return flushes ? floatHandler<Single<Narrow<Half, true, 0>>>(decoding, result)
                   : floatHandler<Single<Narrow<Half, false, 0>>>(decoding, result);
  case Type::BF16:
    return floatHandler<Single<Narrow<Bfloat, false, 0>>>(decoding, result);
  case Type::F16x2:
    return flushes ? floatHandler<Paired<Half, true>>(decoding, result)
                   : floatHandler<Paired<Half, false>>(decoding, result);
  case Type::BF16x2:
    return floatHandler<Paired<Bfloat, false>>(decoding, result);
  default:
    decoding.unsupported();
  }
}

void sources(Decoding &decoding, Type type) {
  decoding.out.operands[2] = decoding.read(1, type);
  decoding.out.operands[3] = decoding.read(2, type);
  decoding.out.modifiers = combinationOf(decoding);
  decoding.expectOperands(decoding.out.modifiers ? 4 : 3);
  if (decoding.out.modifiers)
    decoding.out.operands[4] = decoding.readPredicate(decoding.operand(3));
}

Handler selectSetp(Decoding &decoding) {
  Type type = decoding.type();
  decoding.out.kind = InstructionClass::Predicate;
  const ptx::Operand &to = decoding.operand(0);
  // `_|q` is parsed as a register without a number.
  decoding.out.operands[0] =
      to.index < 0 ? decoding.builder.scratch(Type::Pred) : decoding.writePredicate(to.index);
  decoding.out.operands[1] =
      to.second < 0 ? decoding.builder.scratch(Type::Pred) : decoding.writePredicate(to.second);
  sources(decoding, type);
  bool isOne = to.second < 0 && !decoding.out.modifiers;
  return byType(decoding, type, isOne ? Result::OnePredicate : Result::Predicate);
}

/// set.cmp.dtype.stype
Handler selectSet(Decoding &decoding) {
  Type to = decoding.type(0), from = decoding.type(1);
  decoding.out.operands[0] = decoding.write(0, to);
  switch (to) {
  case Type::F32:
    decoding.out.immediate = 0x3f800000;
    break;
  case Type::F16:
    decoding.out.immediate = 0x3c00;
    break;
  case Type::BF16:
    decoding.out.immediate = 0x3f80;
    break;
  case Type::F16x2:
    decoding.out.immediate = 0x3c003c00;
    break;
  case Type::BF16x2:
    decoding.out.immediate = 0x3f803f80;
    break;
  default:
    decoding.out.immediate = ptx::sizeOf(to) == 2 ? 0xffff : 0xffffffff;
  }
  sources(decoding, from);
  return byType(decoding, from, Result::Number);
}

template <class S>
Step selectByPredicate(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const S *a = warp.lanes<S>(instruction.operands[1]);
  const S *b = warp.lanes<S>(instruction.operands[2]);
  LaneMask chosen = warp.predicate(instruction.operands[3]);
  eachLane(warp.lanes<S>(instruction.operands[0]), lanes,
           [=](int lane) { return chosen >> lane & 1 ? a[lane] : b[lane]; });
  return Step::Next;
}

Handler selectSelp(Decoding &decoding) {
  Type type = decoding.type();
  decoding.expectOperands(4);
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, type);
  decoding.out.operands[3] = decoding.readPredicate(decoding.operand(3));
  return ptx::sizeOf(type) == 8 ? selectByPredicate<uint64_t> : selectByPredicate<uint32_t>;
}

/// slct: the sign of c chooses.
template <class S, class C> S selectBySign(S a, S b, C c) { return c >= 0 ? a : b; }

Handler selectSlct(Decoding &decoding) {
  Type type = decoding.type(0), sign = decoding.type(1);
  decoding.expectOperands(4);
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, type);
  decoding.out.operands[3] = decoding.read(3, sign);
  bool isWide = ptx::sizeOf(type) == 8;
  if (sign == Type::F32)
    return isWide ? ternary<selectBySign<uint64_t, float>, uint64_t, uint64_t, uint64_t, float>
                  : ternary<selectBySign<uint32_t, float>, uint32_t, uint32_t, uint32_t, float>;
  return isWide ? ternary<selectBySign<uint64_t, int32_t>, uint64_t, uint64_t, uint64_t, int32_t>
                : ternary<selectBySign<uint32_t, int32_t>, uint32_t, uint32_t, uint32_t, int32_t>;
}

} // namespace

void addCompare(SelectorTable &table) {
  table["setp"] = selectSetp;
  table["set"] = selectSet;
  table["selp"] = selectSelp;
  table["slct"] = selectSlct;
}

} // namespace vgpu::VGPU_VARIANT
