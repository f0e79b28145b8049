// Logic, shifts and bit fields.
#include "exec/ops/Families.h"
#include "exec/ops/Lanes.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

template <class T> T bitAnd(T a, T b) { return a & b; }
template <class T> T bitOr(T a, T b) { return a | b; }
template <class T> T bitXor(T a, T b) { return a ^ b; }
template <class T> T bitNot(T a) { return T(~a); }
template <class T> T logicalNot(T a) { return a == 0; }
template <class T> T shiftLeft(T a, uint32_t b) { return b < 8 * sizeof(T) ? T(a << b) : 0; }
template <class T> T shiftRight(T a, uint32_t b) {
  constexpr uint32_t bits = 8 * sizeof(T);
  return b < bits ? T(a >> b) : std::is_signed_v<T> ? T(a >> (bits - 1)) : 0;
}
template <class T> uint32_t populationCount(T a) { return std::popcount(a); }
template <class T> uint32_t leadingZeros(T a) { return std::countl_zero(a); }
template <class T> T reverse(T a) {
  if constexpr (sizeof(T) == 8)
    return __builtin_bitreverse64(a);
  else
    return __builtin_bitreverse32(a);
}

/// setp-like logic on predicates.
enum class Logic : uint8_t { And, Or, Xor };
template <Logic logic>
Step predicateLogic(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  LaneMask a = warp.predicate(instruction.operands[1]), b = warp.predicate(instruction.operands[2]);
  warp.setPredicate(instruction.operands[0], lanes,
                    logic == Logic::And  ? a & b
                    : logic == Logic::Or ? a | b
                                         : a ^ b);
  return Step::Next;
}
Step predicateNot(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  warp.setPredicate(instruction.operands[0], lanes, ~warp.predicate(instruction.operands[1]));
  return Step::Next;
}

template <Logic logic, auto on16, auto on32, auto on64> Handler selectLogic(Decoding &decoding) {
  Type type = decoding.type();
  if (type == Type::Pred) {
    decoding.expectOperands(3);
    decoding.out.kind = InstructionClass::Predicate;
    decoding.out.operands[0] = decoding.writePredicate(decoding.operand(0));
    decoding.out.operands[1] = decoding.readPredicate(decoding.operand(1));
    decoding.out.operands[2] = decoding.readPredicate(decoding.operand(2));
    return predicateLogic<logic>;
  }
  plainOperands(decoding, 2, type);
  switch (ptx::sizeOf(type)) {
  case 2:
    return binary<on16, uint16_t, uint16_t>;
  case 4:
    return binary<on32, uint32_t, uint32_t>;
  default:
    return binary<on64, uint64_t, uint64_t>;
  }
}

Handler selectNot(Decoding &decoding) {
  Type type = decoding.type();
  if (type == Type::Pred) {
    decoding.expectOperands(2);
    decoding.out.kind = InstructionClass::Predicate;
    decoding.out.operands[0] = decoding.writePredicate(decoding.operand(0));
    decoding.out.operands[1] = decoding.readPredicate(decoding.operand(1));
    return predicateNot;
  }
  plainOperands(decoding, 1, type);
  switch (ptx::sizeOf(type)) {
  case 2:
    return unary<bitNot<uint16_t>, uint16_t, uint16_t>;
  case 4:
    return unary<bitNot<uint32_t>, uint32_t, uint32_t>;
  default:
    return unary<bitNot<uint64_t>, uint64_t, uint64_t>;
  }
}

Handler selectCnot(Decoding &decoding) {
  plainOperands(decoding, 1, decoding.type());
  switch (ptx::sizeOf(decoding.type())) {
  case 2:
    return unary<logicalNot<uint16_t>, uint16_t, uint16_t>;
  case 4:
    return unary<logicalNot<uint32_t>, uint32_t, uint32_t>;
  default:
    return unary<logicalNot<uint64_t>, uint64_t, uint64_t>;
  }
}

void shiftOperands(Decoding &decoding, Type type) {
  decoding.expectOperands(3);
  decoding.out.type = type;
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, Type::U32);
}

Handler selectShl(Decoding &decoding) {
  shiftOperands(decoding, decoding.type());
  switch (ptx::sizeOf(decoding.type())) {
  case 2:
    return binary<shiftLeft<uint16_t>, uint16_t, uint16_t, uint32_t>;
  case 4:
    return binary<shiftLeft<uint32_t>, uint32_t, uint32_t, uint32_t>;
  default:
    return binary<shiftLeft<uint64_t>, uint64_t, uint64_t, uint32_t>;
  }
}

Handler selectShr(Decoding &decoding) {
  Type type = decoding.type();
  shiftOperands(decoding, type);
  bool isSigned = ptx::isSigned(type);
  switch (ptx::sizeOf(type)) {
  case 2:
    return isSigned ? binary<shiftRight<int16_t>, int16_t, int16_t, uint32_t>
                    : binary<shiftRight<uint16_t>, uint16_t, uint16_t, uint32_t>;
  case 4:
    return isSigned ? binary<shiftRight<int32_t>, int32_t, int32_t, uint32_t>
                    : binary<shiftRight<uint32_t>, uint32_t, uint32_t, uint32_t>;
  default:
    return isSigned ? binary<shiftRight<int64_t>, int64_t, int64_t, uint32_t>
                    : binary<shiftRight<uint64_t>, uint64_t, uint64_t, uint32_t>;
  }
}

template <auto on32, auto on64> Handler selectCount(Decoding &decoding) {
  Type type = decoding.type();
  decoding.expectOperands(2);
  decoding.out.operands[0] = decoding.write(0, Type::U32);
  decoding.out.operands[1] = decoding.read(1, type);
  return ptx::sizeOf(type) == 8 ? unary<on64, uint32_t, uint64_t> : unary<on32, uint32_t, uint32_t>;
}

Handler selectReverse(Decoding &decoding) {
  plainOperands(decoding, 1, decoding.type());
  return ptx::sizeOf(decoding.type()) == 8 ? unary<reverse<uint64_t>, uint64_t, uint64_t>
                                           : unary<reverse<uint32_t>, uint32_t, uint32_t>;
}

/// Funnel shifts of b:a.
template <bool isLeft, bool wraps> uint32_t funnel(uint32_t a, uint32_t b, uint32_t c) {
  uint64_t both = uint64_t{b} << 32 | a;
  uint32_t shift = wraps ? c & 31 : std::min(c, 32u);
  return isLeft ? uint32_t(both << shift >> 32) : uint32_t(both >> shift);
}

Handler selectFunnel(Decoding &decoding) {
  plainOperands(decoding, 3, Type::B32);
  if (decoding.has("l"))
    return decoding.has("wrap") ? ternary<funnel<true, true>, uint32_t, uint32_t>
                                : ternary<funnel<true, false>, uint32_t, uint32_t>;
  return decoding.has("wrap") ? ternary<funnel<false, true>, uint32_t, uint32_t>
                              : ternary<funnel<false, false>, uint32_t, uint32_t>;
}

// --- Bit fields

template <class T> T extractField(T value, uint32_t position, uint32_t length) {
  using U = std::make_unsigned_t<T>;
  constexpr uint32_t bits = 8 * sizeof(T);
  position &= 0xff;
  length &= 0xff;
  if (length == 0)
    return 0;
  bool isNegative =
      std::is_signed_v<T> && (U(value) >> std::min(position + length - 1, bits - 1) & 1);
  U field = position < bits ? U(value) >> position : 0;
  uint32_t valid = position < bits ? std::min(length, bits - position) : 0;
  U mask = valid >= bits ? ~U(0) : (U(1) << valid) - 1;
  field &= mask;
  return T(isNegative ? field | ~mask : field);
}

template <class T> T insertField(T a, T b, uint32_t position, uint32_t length) {
  constexpr uint32_t bits = 8 * sizeof(T);
  position &= 0xff;
  length &= 0xff;
  if (position >= bits || length == 0)
    return b;
  T mask = length >= bits ? ~T(0) : (T(1) << length) - 1;
  mask <<= position;
  return (b & ~mask) | (a << position & mask);
}

template <class T> Step insert(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const T *a = warp.lanes<T>(instruction.operands[1]), *b = warp.lanes<T>(instruction.operands[2]);
  const uint32_t *position = warp.lanes<uint32_t>(instruction.operands[3]);
  const uint32_t *length = warp.lanes<uint32_t>(instruction.operands[4]);
  eachLane(warp.lanes<T>(instruction.operands[0]), lanes,
           [=](int lane) { return insertField(a[lane], b[lane], position[lane], length[lane]); });
  return Step::Next;
}

Handler selectExtract(Decoding &decoding) {
  Type type = decoding.type();
  decoding.expectOperands(4);
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, Type::U32);
  decoding.out.operands[3] = decoding.read(3, Type::U32);
  switch (type) {
  case Type::S32:
    return ternary<extractField<int32_t>, int32_t, int32_t, uint32_t, uint32_t>;
  case Type::U32:
    return ternary<extractField<uint32_t>, uint32_t, uint32_t, uint32_t, uint32_t>;
  case Type::S64:
    return ternary<extractField<int64_t>, int64_t, int64_t, uint32_t, uint32_t>;
  case Type::U64:
    return ternary<extractField<uint64_t>, uint64_t, uint64_t, uint32_t, uint32_t>;
  default:
    decoding.unsupported();
  }
}

Handler selectInsert(Decoding &decoding) {
  Type type = decoding.type();
  decoding.expectOperands(5);
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, type);
  decoding.out.operands[3] = decoding.read(3, Type::U32);
  decoding.out.operands[4] = decoding.read(4, Type::U32);
  return ptx::sizeOf(type) == 8 ? insert<uint64_t> : insert<uint32_t>;
}

/// The most significant bit that is not sign; all ones if there is none.
template <class T, bool isShift> uint32_t findBit(T value) {
  using U = std::make_unsigned_t<T>;
  U bits = std::is_signed_v<T> && value < 0 ? U(~value) : U(value);
  if (bits == 0)
    return ~0u;
  uint32_t zeros = std::countl_zero(bits);
  return isShift ? zeros : 8 * sizeof(T) - 1 - zeros;
}

template <bool isShift> Handler findByType(Decoding &decoding, Type type) {
  switch (type) {
  case Type::S32:
    return unary<findBit<int32_t, isShift>, uint32_t, int32_t>;
  case Type::U32:
    return unary<findBit<uint32_t, isShift>, uint32_t, uint32_t>;
  case Type::S64:
    return unary<findBit<int64_t, isShift>, uint32_t, int64_t>;
  case Type::U64:
    return unary<findBit<uint64_t, isShift>, uint32_t, uint64_t>;
  default:
    decoding.unsupported();
  }
}

Handler selectFind(Decoding &decoding) {
  decoding.expectOperands(2);
  decoding.out.operands[0] = decoding.write(0, Type::U32);
  decoding.out.operands[1] = decoding.read(1, decoding.type());
  return decoding.has("shiftamt") ? findByType<true>(decoding, decoding.type())
                                  : findByType<false>(decoding, decoding.type());
}

template <bool wraps> uint32_t bitMask(uint32_t position, uint32_t width) {
  if (wraps) {
    position &= 31;
    width &= 31;
  }
  if (position > 31)
    return 0;
  uint32_t mask = width >= 32 ? ~0u : (1u << width) - 1;
  return mask << position;
}

Handler selectMask(Decoding &decoding) {
  plainOperands(decoding, 2, Type::B32);
  return decoding.has("wrap") ? binary<bitMask<true>, uint32_t, uint32_t>
                              : binary<bitMask<false>, uint32_t, uint32_t>;
}

/// fns: the position of the n-th set bit, from `base` up or down.
uint32_t findNthSet(uint32_t mask, uint32_t base, int32_t offset) {
  if (offset == 0)
    return base < 32 && (mask >> base & 1) ? base : ~0u;
  int step = offset > 0 ? 1 : -1, left = std::abs(offset);
  for (int64_t position = base; position >= 0 && position < 32; position += step)
    if (mask >> position & 1 && --left == 0)
      return static_cast<uint32_t>(position);
  return ~0u;
}

Handler selectFindNth(Decoding &decoding) {
  plainOperands(decoding, 3, Type::B32);
  return ternary<findNthSet, uint32_t, uint32_t, uint32_t, int32_t>;
}

// --- Bytes and tables

enum class Permutation : uint8_t {
  Index,
  Forward4,
  Backward4,
  Replicate8,
  EdgeLeft,
  EdgeRight,
  Replicate16
};

/// Which bytes of b:a the modes other than the plain one choose.
uint32_t permutationSelector(Permutation mode, uint32_t c) {
  uint32_t n = c & 3, selector = 0;
  for (uint32_t byte = 0; byte < 4; ++byte) {
    uint32_t source = byte;
    switch (mode) {
    case Permutation::Forward4:
      source = n + byte;
      break;
    case Permutation::Backward4:
      source = (n - byte) & 7;
      break;
    case Permutation::Replicate8:
      source = n;
      break;
    case Permutation::EdgeLeft:
      source = std::max(n, byte);
      break;
    case Permutation::EdgeRight:
      source = std::min(n, byte);
      break;
    case Permutation::Replicate16:
      source = (n & 1) * 2 + (byte & 1);
      break;
    case Permutation::Index:
      break;
    }
    selector |= source << 4 * byte;
  }
  return selector;
}

template <Permutation mode> uint32_t permute(uint32_t a, uint32_t b, uint32_t c) {
  uint64_t both = uint64_t{b} << 32 | a;
  uint32_t selector = mode == Permutation::Index ? c : permutationSelector(mode, c);
  uint32_t result = 0;
  for (int byte = 0; byte < 4; ++byte) {
    uint32_t choice = selector >> 4 * byte & 15;
    uint32_t chosen = both >> 8 * (choice & 7) & 0xff;
    uint32_t sign = chosen & 0x80 ? 0xff : 0;
    result |= (choice & 8 ? sign : chosen) << 8 * byte;
  }
  return result;
}

Handler selectPermute(Decoding &decoding) {
  plainOperands(decoding, 3, Type::B32);
  if (decoding.has("f4e"))
    return ternary<permute<Permutation::Forward4>, uint32_t, uint32_t>;
  if (decoding.has("b4e"))
    return ternary<permute<Permutation::Backward4>, uint32_t, uint32_t>;
  if (decoding.has("rc8"))
    return ternary<permute<Permutation::Replicate8>, uint32_t, uint32_t>;
  if (decoding.has("ecl"))
    return ternary<permute<Permutation::EdgeLeft>, uint32_t, uint32_t>;
  if (decoding.has("ecr"))
    return ternary<permute<Permutation::EdgeRight>, uint32_t, uint32_t>;
  if (decoding.has("rc16"))
    return ternary<permute<Permutation::Replicate16>, uint32_t, uint32_t>;
  return ternary<permute<Permutation::Index>, uint32_t, uint32_t>;
}

/// The table is a byte: bit 4 a + 2 b + c is the result.
Step tableLogic(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint32_t *a = warp.lanes<uint32_t>(instruction.operands[1]);
  const uint32_t *b = warp.lanes<uint32_t>(instruction.operands[2]);
  const uint32_t *c = warp.lanes<uint32_t>(instruction.operands[3]);
  uint32_t table[8];
  for (int entry = 0; entry < 8; ++entry)
    table[entry] = instruction.immediate >> entry & 1 ? ~0u : 0;
  eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes, [&](int lane) {
    uint32_t x = a[lane], y = b[lane], z = c[lane];
    uint32_t low =
        (~y & ((~z & table[0]) | (z & table[1]))) | (y & ((~z & table[2]) | (z & table[3])));
    uint32_t high =
        (~y & ((~z & table[4]) | (z & table[5]))) | (y & ((~z & table[6]) | (z & table[7])));
    return (~x & low) | (x & high);
  });
  return Step::Next;
}

Handler selectTableLogic(Decoding &decoding) {
  if (decoding.has("BoolOp") || decoding.has("or") || decoding.has("and"))
    decoding.unsupported();
  decoding.expectOperands(5);
  decoding.out.operands[0] = decoding.write(0, Type::B32);
  for (size_t source = 1; source <= 3; ++source)
    decoding.out.operands[source] = decoding.read(source, Type::B32);
  decoding.out.immediate = decoding.integer(4);
  return tableLogic;
}

} // namespace

void addBits(SelectorTable &table) {
  table["and"] = selectLogic<Logic::And, bitAnd<uint16_t>, bitAnd<uint32_t>, bitAnd<uint64_t>>;
  table["or"] = selectLogic<Logic::Or, bitOr<uint16_t>, bitOr<uint32_t>, bitOr<uint64_t>>;
  table["xor"] = selectLogic<Logic::Xor, bitXor<uint16_t>, bitXor<uint32_t>, bitXor<uint64_t>>;
  table["not"] = selectNot;
  table["cnot"] = selectCnot;
  table["shl"] = selectShl;
  table["shr"] = selectShr;
  table["popc"] = selectCount<populationCount<uint32_t>, populationCount<uint64_t>>;
  table["clz"] = selectCount<leadingZeros<uint32_t>, leadingZeros<uint64_t>>;
  table["brev"] = selectReverse;
  table["shf"] = selectFunnel;
  table["bfe"] = selectExtract;
  table["bfi"] = selectInsert;
  table["bfind"] = selectFind;
  table["bmsk"] = selectMask;
  table["fns"] = selectFindNth;
  table["prmt"] = selectPermute;
  table["lop3"] = selectTableLogic;
}

} // namespace vgpu::VGPU_VARIANT
