// cvt. Frequent pairs of types have loops of their own; all others go through
// 64-bit integers and doubles, which hold every source exactly.
#include "exec/ops/Families.h"
#include "exec/ops/Float.h"
#include "exec/ops/Formats.h"

#include <limits>

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

enum : uint32_t {
  kModeMask = 0xff,
  kToInteger = 1 << 8, ///< a float is rounded to an integral value
  kFlush = 1 << 9,
  kSaturate = 1 << 10,
  kSatfinite = 1 << 11,
  kRelu = 1 << 12,
  kWideSource = 1 << 13, ///< the register of the source has 64 bits
  kWideResult = 1 << 14,
};

bool isUnsigned64(Type type) { return type == Type::U64 || type == Type::B64; }

int64_t extend(uint64_t bits, Type type) {
  switch (type) {
  case Type::S8:
    return static_cast<int8_t>(bits);
  case Type::U8:
  case Type::B8:
    return static_cast<uint8_t>(bits);
  case Type::S16:
    return static_cast<int16_t>(bits);
  case Type::U16:
  case Type::B16:
    return static_cast<uint16_t>(bits);
  case Type::S32:
    return static_cast<int32_t>(bits);
  case Type::U32:
  case Type::B32:
    return static_cast<uint32_t>(bits);
  default:
    return static_cast<int64_t>(bits);
  }
}

uint64_t readBits(const Warp &warp, const Instruction &instruction, size_t operand, int lane) {
  return instruction.modifiers & kWideSource
             ? warp.lanes<uint64_t>(instruction.operands[operand])[lane]
             : warp.lanes<uint32_t>(instruction.operands[operand])[lane];
}

/// Writes what fits into the destination's register.
void writeBits(Warp &warp, const Instruction &instruction, int lane, uint64_t bits) {
  if (instruction.modifiers & kWideResult)
    warp.lanes<uint64_t>(instruction.operands[0])[lane] = bits;
  else
    warp.lanes<uint32_t>(instruction.operands[0])[lane] =
        static_cast<uint32_t>(bits) & static_cast<uint32_t>(instruction.immediate);
}

double floatValue(uint64_t bits, Type type) {
  switch (type) {
  case Type::F16:
    return toFloat(Half{static_cast<uint16_t>(bits)});
  case Type::BF16:
    return toFloat(Bfloat{static_cast<uint16_t>(bits)});
  case Type::F32:
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  default:
    return std::bit_cast<double>(bits);
  }
}

RoundingMode modeOf(const Instruction &instruction) {
  return static_cast<RoundingMode>(instruction.modifiers & kModeMask);
}

uint64_t encodeFloat(double value, Type type, const Instruction &instruction) {
  RoundingMode mode = modeOf(instruction);
  bool saturates = instruction.modifiers & kSatfinite;
  switch (type) {
  case Type::F16:
    return encode(value, kHalf, mode, saturates);
  case Type::BF16:
    return encode(value, kBfloat, mode, saturates);
  case Type::TF32:
    return uint64_t{encode(value, kTf32, mode, saturates)} << 13;
  case Type::F32: {
    uint32_t bits = encode(value, kSingle, mode, saturates);
    if (instruction.modifiers & kFlush)
      bits = std::bit_cast<uint32_t>(flushed(std::bit_cast<float>(bits)));
    return bits;
  }
  default:
    return std::bit_cast<uint64_t>(value);
  }
}

double roundToIntegral(double value, RoundingMode mode) {
  switch (mode) {
  case RoundingMode::Zero:
    return std::trunc(value);
  case RoundingMode::Down:
    return std::floor(value);
  case RoundingMode::Up:
    return std::ceil(value);
  default:
    return std::nearbyint(value);
  }
}

double flushedInput(double value, const Instruction &instruction) {
  if ((instruction.modifiers & kFlush) && instruction.sourceType == Type::F32)
    return flushed(static_cast<float>(value));
  return value;
}

/// Float to float.
Step floatToFloat(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  forLanes(lanes, [&](int lane) {
    double value = floatValue(readBits(warp, instruction, 1, lane), instruction.sourceType);
    value = flushedInput(value, instruction);
    if (instruction.modifiers & kToInteger)
      value = roundToIntegral(value, modeOf(instruction));
    if (instruction.modifiers & kSaturate)
      value = saturated(value);
    if ((instruction.modifiers & kRelu) && value < 0)
      value = 0;
    writeBits(warp, instruction, lane, encodeFloat(value, instruction.type, instruction));
  });
  return Step::Next;
}

/// Out of range gives the nearest bound, no number gives 0.
int64_t toInteger(double value, Type type) {
  int bits = 8 * ptx::sizeOf(type);
  if (value != value)
    return 0;
  if (ptx::isSigned(type)) {
    double bound = std::ldexp(1.0, bits - 1);
    if (value >= bound)
      return static_cast<int64_t>(~uint64_t{0} >> (65 - bits));
    if (value < -bound)
      return static_cast<int64_t>(~uint64_t{0} << (bits - 1));
    return static_cast<int64_t>(value);
  }
  if (value <= 0)
    return 0;
  if (value >= std::ldexp(1.0, bits))
    return static_cast<int64_t>(~uint64_t{0} >> (64 - bits));
  return static_cast<int64_t>(static_cast<uint64_t>(value));
}

Step floatToInteger(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  forLanes(lanes, [&](int lane) {
    double value = floatValue(readBits(warp, instruction, 1, lane), instruction.sourceType);
    value = roundToIntegral(flushedInput(value, instruction), modeOf(instruction));
    writeBits(warp, instruction, lane, static_cast<uint64_t>(toInteger(value, instruction.type)));
  });
  return Step::Next;
}

/// A double that rounds to narrower formats as the integer itself would: bits
/// below its precision are collected in the last one (rounding to odd).
double integerToDoubleOdd(uint64_t size) {
  int excess = 64 - std::countl_zero(size | 1) - 53;
  if (excess <= 0)
    return static_cast<double>(size);
  uint64_t lost = size & ((uint64_t{1} << excess) - 1);
  uint64_t kept = size >> excess | (lost != 0);
  return std::ldexp(static_cast<double>(kept), excess);
}

/// Integers to f64, where 64-bit ones are rounded by the mode.
double integerToDouble(uint64_t size, bool isNegative, RoundingMode mode) {
  auto result = static_cast<double>(size);
  auto exact = static_cast<__int128>(size), rounded = static_cast<__int128>(result);
  bool up = mode == RoundingMode::Up ? !isNegative : mode == RoundingMode::Down && isNegative;
  bool isDirected = mode != RoundingMode::Nearest;
  if (isDirected && rounded < exact && up)
    result = std::nextafter(result, INFINITY);
  if (isDirected && rounded > exact && !up)
    result = std::nextafter(result, 0);
  return isNegative ? -result : result;
}

Step integerToFloat(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  forLanes(lanes, [&](int lane) {
    int64_t value = extend(readBits(warp, instruction, 1, lane), instruction.sourceType);
    bool isNegative = value < 0 && !isUnsigned64(instruction.sourceType);
    uint64_t size = isNegative ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    if (instruction.type == Type::F64)
      return writeBits(
          warp, instruction, lane,
          std::bit_cast<uint64_t>(integerToDouble(size, isNegative, modeOf(instruction))));
    double real = integerToDoubleOdd(size);
    if (isNegative)
      real = -real;
    if (instruction.modifiers & kSaturate)
      real = saturated(real);
    writeBits(warp, instruction, lane, encodeFloat(real, instruction.type, instruction));
  });
  return Step::Next;
}

int64_t saturateInteger(int64_t value, Type from, Type to) {
  bool isHuge = isUnsigned64(from) && value < 0;
  if (to == Type::S64)
    return isHuge ? std::numeric_limits<int64_t>::max() : value;
  if (isUnsigned64(to))
    return value < 0 && !isHuge ? 0 : value;
  int bits = 8 * ptx::sizeOf(to);
  int64_t least = ptx::isSigned(to) ? -(int64_t{1} << (bits - 1)) : 0;
  int64_t most = ptx::isSigned(to) ? (int64_t{1} << (bits - 1)) - 1 : (int64_t{1} << bits) - 1;
  return isHuge ? most : std::min(std::max(value, least), most);
}

Step integerToInteger(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  forLanes(lanes, [&](int lane) {
    int64_t value = extend(readBits(warp, instruction, 1, lane), instruction.sourceType);
    if (instruction.modifiers & kSaturate)
      value = saturateInteger(value, instruction.sourceType, instruction.type);
    writeBits(warp, instruction, lane,
              static_cast<uint64_t>(extend(static_cast<uint64_t>(value), instruction.type)));
  });
  return Step::Next;
}

// --- Two values into one register: cvt.rn.f16x2.f32 d, high, low

uint32_t encodeNarrow(double value, Type type, const Instruction &instruction) {
  if ((instruction.modifiers & kRelu) && value < 0)
    value = 0;
  switch (type) {
  case Type::F16x2:
    return encode(value, kHalf, modeOf(instruction), instruction.modifiers & kSatfinite);
  case Type::BF16x2:
    return encode(value, kBfloat, modeOf(instruction), instruction.modifiers & kSatfinite);
  case Type::E4M3x2:
    return encode(value, kE4M3, modeOf(instruction), true);
  default:
    return encode(value, kE5M2, modeOf(instruction), true);
  }
}

Step pairFromSingles(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const float *high = warp.lanes<float>(instruction.operands[1]);
  const float *low = warp.lanes<float>(instruction.operands[2]);
  uint32_t *to = warp.lanes<uint32_t>(instruction.operands[0]);
  int bits = 4 * ptx::sizeOf(instruction.type);
  forLanes(lanes, [&](int lane) {
    to[lane] = encodeNarrow(high[lane], instruction.type, instruction) << bits |
               encodeNarrow(low[lane], instruction.type, instruction);
  });
  return Step::Next;
}

template <class T>
Step pairFromSinglesNearest(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const float *high = warp.lanes<float>(instruction.operands[1]);
  const float *low = warp.lanes<float>(instruction.operands[2]);
  eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes, [=](int lane) {
    return uint32_t{fromFloat<T>(high[lane]).bits} << 16 | fromFloat<T>(low[lane]).bits;
  });
  return Step::Next;
}

/// cvt.rn.satfinite.e4m3x2.f16x2 d, a
Step minifloatsFromHalves(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint32_t *from = warp.lanes<uint32_t>(instruction.operands[1]);
  uint32_t *to = warp.lanes<uint32_t>(instruction.operands[0]);
  forLanes(lanes, [&](int lane) {
    double low = decode(from[lane] & 0xffff, kHalf), high = decode(from[lane] >> 16, kHalf);
    to[lane] = encodeNarrow(high, instruction.type, instruction) << 8 |
               encodeNarrow(low, instruction.type, instruction);
  });
  return Step::Next;
}

/// cvt.rn.f16x2.e4m3x2 d, a
Step halvesFromMinifloats(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const FloatFormat &format = instruction.sourceType == Type::E4M3x2 ? kE4M3 : kE5M2;
  const uint32_t *from = warp.lanes<uint32_t>(instruction.operands[1]);
  uint32_t *to = warp.lanes<uint32_t>(instruction.operands[0]);
  forLanes(lanes, [&](int lane) {
    double low = decode(from[lane] & 0xff, format), high = decode(from[lane] >> 8 & 0xff, format);
    to[lane] = encodeNarrow(high, Type::F16x2, instruction) << 16 |
               encodeNarrow(low, Type::F16x2, instruction);
  });
  return Step::Next;
}

// --- Frequent pairs

template <class D, class S> D plainCast(S value) { return static_cast<D>(value); }
float halfToSingle(Half value) { return canonical(toFloat(value)); }
float bfloatToSingle(Bfloat value) { return canonical(toFloat(value)); }

Handler fastPath(const Instruction &instruction, int sourceBytes, int resultBytes) {
  Type to = instruction.type, from = instruction.sourceType;
  bool isPlain = (instruction.modifiers & ~uint32_t{kWideSource | kWideResult}) == 0;
  if (!isPlain || ptx::sizeOf(to) != resultBytes || ptx::sizeOf(from) != sourceBytes)
    return nullptr;
  auto is = [&](Type wantedTo, Type wantedFrom) { return to == wantedTo && from == wantedFrom; };
  if (is(Type::S64, Type::S32))
    return unary<plainCast<int64_t, int32_t>, int64_t, int32_t>;
  if (from == Type::U32 && ptx::sizeOf(to) == 8 && !ptx::isFloat(to))
    return unary<plainCast<uint64_t, uint32_t>, uint64_t, uint32_t>;
  if (ptx::sizeOf(from) == 8 && ptx::sizeOf(to) == 4 && !ptx::isFloat(to) && !ptx::isFloat(from))
    return unary<plainCast<uint32_t, uint64_t>, uint32_t, uint64_t>;
  if (from == Type::U16 && ptx::sizeOf(to) == 4 && !ptx::isFloat(to))
    return unary<plainCast<uint32_t, uint16_t>, uint32_t, uint16_t>;
  if (is(Type::S32, Type::S16))
    return unary<plainCast<int32_t, int16_t>, int32_t, int16_t>;
  if (ptx::sizeOf(from) == 4 && ptx::sizeOf(to) == 2 && !ptx::isFloat(from) && !ptx::isFloat(to))
    return unary<plainCast<uint16_t, uint32_t>, uint16_t, uint32_t>;
  if (is(Type::F32, Type::F16))
    return unary<halfToSingle, float, Half>;
  if (is(Type::F32, Type::BF16))
    return unary<bfloatToSingle, float, Bfloat>;
  if (is(Type::F16, Type::F32))
    return unary<fromFloat<Half>, Half, float>;
  if (is(Type::BF16, Type::F32))
    return unary<fromFloat<Bfloat>, Bfloat, float>;
  if (is(Type::F64, Type::F32))
    return unary<plainCast<double, float>, double, float>;
  if (is(Type::F32, Type::S32))
    return unary<plainCast<float, int32_t>, float, int32_t>;
  if (is(Type::F32, Type::U32))
    return unary<plainCast<float, uint32_t>, float, uint32_t>;
  if (is(Type::F64, Type::S32))
    return unary<plainCast<double, int32_t>, double, int32_t>;
  if (is(Type::F64, Type::U32))
    return unary<plainCast<double, uint32_t>, double, uint32_t>;
  return nullptr;
}

uint32_t modifiersOf(const Decoding &decoding) {
  constexpr std::pair<std::string_view, RoundingMode> modes[] = {
      {"rn", RoundingMode::Nearest},      {"rz", RoundingMode::Zero},
      {"rm", RoundingMode::Down},         {"rp", RoundingMode::Up},
      {"rna", RoundingMode::NearestAway}, {"rni", RoundingMode::Nearest},
      {"rzi", RoundingMode::Zero},        {"rmi", RoundingMode::Down},
      {"rpi", RoundingMode::Up}};
  uint32_t modifiers = 0;
  for (auto [name, mode] : modes)
    if (decoding.has(name))
      modifiers |= static_cast<uint32_t>(mode) | (name.back() == 'i' ? kToInteger : 0);
  modifiers |= decoding.has("ftz") ? kFlush : 0;
  modifiers |= decoding.has("sat") ? kSaturate : 0;
  modifiers |= decoding.has("satfinite") ? kSatfinite : 0;
  modifiers |= decoding.has("relu") ? kRelu : 0;
  return modifiers;
}

/// A register that may be wider than the type: `_` and constants are not.
Operand wideRead(Decoding &decoding, size_t number, Type type) {
  const ptx::Operand &operand = decoding.operand(number);
  if (operand.kind != ptx::Operand::Kind::Register)
    return decoding.read(operand, type);
  if (decoding.bytesOf(operand, type) < ptx::sizeOf(type) || decoding.isPredicate(operand))
    decoding.fail("register " + operand.name + " is too narrow");
  return decoding.builder.registerOperand(operand.index);
}

Handler selectPair(Decoding &decoding, Type to, Type from) {
  decoding.out.operands[0] = decoding.write(0, ptx::sizeOf(to) == 2 ? Type::B16 : Type::B32);
  if (from == Type::F32) {
    decoding.expectOperands(3);
    decoding.out.operands[1] = decoding.read(1, Type::F32);
    decoding.out.operands[2] = decoding.read(2, Type::F32);
    if (decoding.out.modifiers == 0 && to == Type::F16x2)
      return pairFromSinglesNearest<Half>;
    if (decoding.out.modifiers == 0 && to == Type::BF16x2)
      return pairFromSinglesNearest<Bfloat>;
    return pairFromSingles;
  }
  decoding.expectOperands(2);
  if ((to == Type::E4M3x2 || to == Type::E5M2x2) && from == Type::F16x2) {
    decoding.out.operands[1] = decoding.read(1, Type::B32);
    return minifloatsFromHalves;
  }
  if (to == Type::F16x2 && (from == Type::E4M3x2 || from == Type::E5M2x2)) {
    decoding.out.operands[1] = decoding.read(1, Type::B16);
    return halvesFromMinifloats;
  }
  decoding.unsupported();
}

// --- cvt.pack.sat.type.s32{.b32} d, a, b{, c}: packs a and b above what c holds

Step packSaturated(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  int bits = 8 * ptx::sizeOf(instruction.type);
  uint32_t mask = (1u << bits) - 1;
  const int32_t *a = warp.lanes<int32_t>(instruction.operands[1]);
  const int32_t *b = warp.lanes<int32_t>(instruction.operands[2]);
  const uint32_t *c = warp.lanes<uint32_t>(instruction.operands[3]);
  uint32_t *to = warp.lanes<uint32_t>(instruction.operands[0]);
  forLanes(lanes, [&](int lane) {
    auto clamp = [&](int32_t value) {
      return static_cast<uint32_t>(saturateInteger(value, Type::S32, instruction.type)) & mask;
    };
    uint32_t pair = clamp(a[lane]) << bits | clamp(b[lane]);
    to[lane] = bits == 16 ? pair : c[lane] << 16 | pair;
  });
  return Step::Next;
}

Handler selectPackSaturated(Decoding &decoding) {
  Type type = decoding.type(0);
  if (ptx::sizeOf(type) > 2 || decoding.type(1) != Type::S32)
    decoding.unsupported();
  decoding.expectOperands(3, 4);
  decoding.out.type = type;
  decoding.out.operands[0] = decoding.write(0, Type::B32);
  decoding.out.operands[1] = decoding.read(1, Type::S32);
  decoding.out.operands[2] = decoding.read(2, Type::S32);
  decoding.out.operands[3] =
      decoding.operandCount() > 3 ? decoding.read(3, Type::B32) : decoding.builder.constant(0, 4);
  return packSaturated;
}

Handler selectCvt(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Convert;
  if (decoding.modifier(0) == "pack")
    return selectPackSaturated(decoding);
  Type to = decoding.type(0), from = decoding.type(1);
  if (to == Type::None || from == Type::None)
    decoding.unsupported();
  decoding.out.type = to;
  decoding.out.sourceType = from;
  decoding.out.modifiers = modifiersOf(decoding);
  auto isPair = [](Type type) {
    return type == Type::F16x2 || type == Type::BF16x2 || type == Type::E4M3x2 ||
           type == Type::E5M2x2;
  };
  if (isPair(to) || isPair(from))
    return selectPair(decoding, to, from);
  decoding.expectOperands(2);
  const ptx::Operand &result = decoding.operand(0);
  int resultBytes = decoding.bytesOf(result, to);
  int sourceBytes = decoding.bytesOf(decoding.operand(1), from);
  if (result.kind == ptx::Operand::Kind::Register && resultBytes < ptx::sizeOf(to))
    decoding.fail("register " + result.name + " is too narrow");
  decoding.out.operands[0] = result.kind == ptx::Operand::Kind::Register
                                 ? decoding.builder.registerOperand(result.index)
                                 : decoding.write(0, to);
  decoding.out.operands[1] = wideRead(decoding, 1, from);
  decoding.out.modifiers |= sourceBytes == 8 ? kWideSource : 0;
  decoding.out.modifiers |= resultBytes == 8 ? kWideResult : 0;
  decoding.out.immediate = resultBytes >= 4 ? 0xffffffff : (1u << 8 * resultBytes) - 1;
  if (Handler fast = fastPath(decoding.out, sourceBytes, resultBytes))
    return fast;
  if (ptx::isFloat(from))
    return ptx::isFloat(to) ? floatToFloat : floatToInteger;
  return ptx::isFloat(to) ? integerToFloat : integerToInteger;
}

} // namespace

void addConvert(SelectorTable &table) { table["cvt"] = selectCvt; }

} // namespace vgpu::VGPU_VARIANT
