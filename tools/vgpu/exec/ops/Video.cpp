// Video instructions: arithmetic on a word, or on its halves or bytes, of which operands
// may select any; then a saturation, and a second operation with a third operand.
#include "exec/ops/Families.h"
#include "exec/ops/Lanes.h"

#include <algorithm>
#include <optional>

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;
using Wide = __int128; // holds every intermediate result

enum class Op : uint8_t {
  Add,
  Subtract,
  Difference,
  Minimum,
  Maximum,
  Average,
  ShiftLeft,
  ShiftRight,
  Set,
};
enum class Second : uint8_t { None, Merge, Add, Minimum, Maximum };
enum class Compare : uint8_t { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual };

/// Of `immediate`: parts of the operands, by the number of the part in {b, a}.
struct Parts {
  uint8_t a[4], b[4]; ///< for each part of the result
};

/// Of `modifiers`.
struct Form {
  uint32_t op : 4, second : 3, compare : 3;
  uint32_t isSignedA : 1, isSignedB : 1, isSignedD : 1, saturates : 1, wraps : 1;
  uint32_t logBitsA : 3, logBitsB : 3, logBitsD : 3; ///< of a part
  uint32_t written : 4;                              ///< parts of the result

  int bitsA() const { return 1 << logBitsA; }
  int bitsB() const { return 1 << logBitsB; }
  int bitsD() const { return 1 << logBitsD; }
};

/// The value of some low bits.
Wide valueOf(uint64_t word, int bits, bool isSigned) {
  uint64_t value = word & ((uint64_t{1} << bits) - 1);
  bool isNegative = isSigned && value >> (bits - 1) & 1;
  return static_cast<Wide>(value) - (isNegative ? Wide{1} << bits : 0);
}

bool holds(Compare compare, Wide a, Wide b) {
  switch (compare) {
  case Compare::Equal:
    return a == b;
  case Compare::NotEqual:
    return a != b;
  case Compare::Less:
    return a < b;
  case Compare::LessEqual:
    return a <= b;
  case Compare::Greater:
    return a > b;
  case Compare::GreaterEqual:
    return a >= b;
  }
  return false;
}

/// How far a shift by b goes.
int distanceOf(Form form, Wide b) {
  return static_cast<int>(form.wraps ? b & 31 : std::min<Wide>(b, 32));
}

Wide compute(Form form, Wide a, Wide b) {
  switch (static_cast<Op>(form.op)) {
  case Op::Add:
    return a + b;
  case Op::Subtract:
    return a - b;
  case Op::Difference:
    return a < b ? b - a : a - b;
  case Op::Minimum:
    return std::min(a, b);
  case Op::Maximum:
    return std::max(a, b);
  case Op::Average: // halves go away from zero
    return (a + b + (a + b >= 0)) >> 1;
  case Op::ShiftLeft:
    return a << distanceOf(form, b);
  case Op::ShiftRight:
    return a >> distanceOf(form, b);
  case Op::Set:
    return holds(static_cast<Compare>(form.compare), a, b);
  }
  return 0;
}

Wide saturated(Wide value, int bits, bool isSigned) {
  Wide least = isSigned ? -(Wide{1} << (bits - 1)) : 0;
  return std::clamp(value, least, least + (Wide{1} << bits) - 1);
}

/// What becomes of the results of the parts, together: a sum, or the parts themselves.
uint32_t combined(Form form, Wide sum, uint32_t parts, uint32_t written, uint32_t c) {
  // Beyond its range, the intermediate result wraps to the type of the result.
  Wide result = valueOf(static_cast<uint64_t>(sum), 32, form.isSignedD);
  Wide third = valueOf(c, 32, form.isSignedD);
  switch (static_cast<Second>(form.second)) {
  case Second::None:
    return static_cast<uint32_t>(result);
  case Second::Merge:
    return parts | (c & ~written);
  case Second::Add:
    return static_cast<uint32_t>(result + third);
  case Second::Minimum:
    return static_cast<uint32_t>(std::min(result, third));
  case Second::Maximum:
    return static_cast<uint32_t>(std::max(result, third));
  }
  return 0;
}

uint32_t valueOf(Form form, Parts from, uint32_t a, uint32_t b, uint32_t c) {
  uint64_t both = uint64_t{b} << 32 | a;
  Wide sum = 0;
  uint32_t parts = 0, written = 0;
  for (int part = 0; part < 4; ++part) {
    if (!(form.written >> part & 1))
      continue;
    Wide result =
        compute(form, valueOf(both >> from.a[part] * form.bitsA(), form.bitsA(), form.isSignedA),
                valueOf(both >> from.b[part] * form.bitsB(), form.bitsB(), form.isSignedB));
    if (form.saturates)
      result = saturated(result, form.bitsD(), form.isSignedD);
    auto mask = static_cast<uint32_t>((uint64_t{1} << form.bitsD()) - 1);
    int position = part * form.bitsD();
    sum += result;
    parts |= (static_cast<uint32_t>(result) & mask) << position;
    written |= mask << position;
  }
  return combined(form, sum, parts, written, c);
}

// --- vmad: a product and a sum, which may be shifted

/// Of `modifiers`.
struct MultiplyForm {
  uint32_t isSignedA : 1, isSignedB : 1, saturates : 1, addsOne : 1;
  uint32_t negatesProduct : 1, negatesC : 1, shift : 4;
  uint32_t bitsA : 6, bitsB : 6;

  bool isSigned() const { return isSignedA || isSignedB || negatesProduct || negatesC; }
};

uint32_t valueOf(MultiplyForm form, Parts from, uint32_t a, uint32_t b, uint32_t c) {
  Wide product = valueOf(a >> from.a[0] * form.bitsA, form.bitsA, form.isSignedA) *
                 valueOf(b >> from.b[0] * form.bitsB, form.bitsB, form.isSignedB);
  Wide third = valueOf(c, 32, form.isSigned());
  Wide sum = (form.negatesProduct ? -product : product) + (form.negatesC ? -third : third);
  Wide result = (sum + form.addsOne) >> form.shift;
  return static_cast<uint32_t>(form.saturates ? saturated(result, 32, form.isSigned()) : result);
}

/// operands: d, a, b, c
template <class Form> Step evaluate(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const auto *a = warp.lanes<uint32_t>(instruction.operands[1]);
  const auto *b = warp.lanes<uint32_t>(instruction.operands[2]);
  const auto *c = warp.lanes<uint32_t>(instruction.operands[3]);
  auto *to = warp.lanes<uint32_t>(instruction.operands[0]);
  auto form = std::bit_cast<Form>(instruction.modifiers);
  auto from = std::bit_cast<Parts>(instruction.immediate);
  forLanes(lanes, [&](int lane) { to[lane] = valueOf(form, from, a[lane], b[lane], c[lane]); });
  return Step::Next;
}

// --- Decoding

ptx::Operand whole(ptx::Operand operand) {
  operand.part.clear();
  operand.isNegated = false;
  return operand;
}

void readOperands(Decoding &decoding, bool hasThird) {
  decoding.out.kind = InstructionClass::Integer;
  decoding.expectOperands(hasThird ? 4 : 3);
  decoding.out.operands[0] = decoding.write(whole(decoding.operand(0)), Type::U32);
  for (size_t source = 1; source < decoding.operandCount(); ++source)
    decoding.out.operands[source] = decoding.read(whole(decoding.operand(source)), Type::U32);
  if (!hasThird)
    decoding.out.operands[3] = decoding.builder.constant(0, 4);
}

/// One part of an operand, such as "h1": how many bits it has, and its number.
struct Part {
  int bits = 32;
  uint8_t number = 0;
};

Part partOf(Decoding &decoding, size_t operand) {
  const std::string &name = decoding.operand(operand).part;
  if (name.empty())
    return {};
  int bits = name[0] == 'b' ? 8 : 16;
  int number = name.size() == 2 ? name[1] - '0' : -1;
  if ((name[0] != 'b' && name[0] != 'h') || number < 0 || number >= 32 / bits)
    decoding.fail("." + name + " is no part of an operand");
  return {bits, static_cast<uint8_t>(number)};
}

/// The parts of an operand that go to the parts of the result: of "b7654", the first
/// is 4. Operands have the numbers of `first` on where the text says nothing.
void selectParts(Decoding &decoding, size_t operand, int count, int first, uint8_t *parts) {
  const std::string &name = decoding.operand(operand).part;
  for (int part = 0; part < count; ++part) {
    parts[part] = static_cast<uint8_t>(first + part);
    if (name.empty())
      continue;
    int number = name.size() == static_cast<size_t>(count) + 1 ? name[count - part] - '0' : -1;
    if (name[0] != (count == 4 ? 'b' : 'h') || number < 0 || number >= 2 * count)
      decoding.fail("." + name + " does not select " + std::to_string(count) + " parts");
    parts[part] = static_cast<uint8_t>(number);
  }
}

/// The parts that are written: of "h1", the second.
uint32_t writtenParts(Decoding &decoding, int count) {
  const std::string &name = decoding.operand(0).part;
  if (name.empty())
    return (1u << count) - 1;
  uint32_t written = 0;
  for (char digit : name.substr(1)) {
    if (name[0] != (count == 4 ? 'b' : 'h') || digit < '0' || digit >= '0' + count)
      decoding.fail("." + name + " are no parts of the result");
    written |= 1u << (digit - '0');
  }
  return written;
}

Second secondOf(const Decoding &decoding) {
  return decoding.has("add")   ? Second::Add
         : decoding.has("min") ? Second::Minimum
         : decoding.has("max") ? Second::Maximum
                               : Second::None;
}

uint32_t compareOf(Decoding &decoding) {
  constexpr std::string_view names[] = {"eq", "ne", "lt", "le", "gt", "ge"};
  for (uint32_t compare = 0; compare < std::size(names); ++compare)
    if (decoding.has(names[compare]))
      return compare;
  decoding.fail("needs a comparison");
}

void requireWords(Decoding &decoding, size_t count) {
  for (size_t number = 0; number < count; ++number)
    if (Type type = decoding.type(number); type != Type::U32 && type != Type::S32)
      decoding.fail("needs " + std::to_string(count) + " types, each .u32 or .s32");
}

/// What all forms but vmad have in their modifiers.
Form formOf(Decoding &decoding, Op op) {
  Form form{};
  form.op = static_cast<uint32_t>(op);
  bool isSet = op == Op::Set; // its result has no type
  requireWords(decoding, isSet ? 2 : 3);
  if (isSet)
    form.compare = compareOf(decoding);
  else
    form.isSignedD = decoding.type(0) == Type::S32;
  form.isSignedA = decoding.type(isSet ? 0 : 1) == Type::S32;
  form.isSignedB = decoding.type(isSet ? 1 : 2) == Type::S32;
  form.saturates = decoding.has("sat");
  bool isShift = op == Op::ShiftLeft || op == Op::ShiftRight;
  form.wraps = decoding.has("wrap");
  if (isShift && !form.wraps && !decoding.has("clamp"))
    decoding.fail("needs .clamp or .wrap");
  return form;
}

template <Op op> Handler selectOne(Decoding &decoding) {
  Form form = formOf(decoding, op);
  Second second = secondOf(decoding);
  Part d = partOf(decoding, 0), a = partOf(decoding, 1), b = partOf(decoding, 2);
  if (d.bits != 32) {
    if (second != Second::None)
      decoding.fail("merges, and has another operation too");
    second = Second::Merge;
  }
  readOperands(decoding, second != Second::None);
  form.second = static_cast<uint32_t>(second);
  form.written = 1u << d.number;
  form.logBitsA = std::countr_zero(static_cast<uint32_t>(a.bits));
  form.logBitsB = std::countr_zero(static_cast<uint32_t>(b.bits));
  form.logBitsD = std::countr_zero(static_cast<uint32_t>(d.bits));
  Parts parts{};
  parts.a[d.number] = a.number;
  parts.b[d.number] = static_cast<uint8_t>(32 / b.bits + b.number);
  decoding.out.modifiers = std::bit_cast<uint32_t>(form);
  decoding.out.immediate = std::bit_cast<int64_t>(parts);
  return evaluate<Form>;
}

template <Op op, int count> Handler selectMany(Decoding &decoding) {
  Form form = formOf(decoding, op);
  readOperands(decoding, true);
  Second second = decoding.has("add") ? Second::Add : Second::Merge;
  form.second = static_cast<uint32_t>(second);
  form.written = writtenParts(decoding, count);
  form.logBitsA = form.logBitsB = form.logBitsD = std::countr_zero(32u / count);
  Parts parts{};
  selectParts(decoding, 1, count, 0, parts.a);
  selectParts(decoding, 2, count, count, parts.b);
  decoding.out.modifiers = std::bit_cast<uint32_t>(form);
  decoding.out.immediate = std::bit_cast<int64_t>(parts);
  return evaluate<Form>;
}

Handler selectMultiply(Decoding &decoding) {
  requireWords(decoding, 3);
  readOperands(decoding, true);
  Part a = partOf(decoding, 1), b = partOf(decoding, 2);
  MultiplyForm form{};
  form.isSignedA = decoding.type(1) == Type::S32;
  form.isSignedB = decoding.type(2) == Type::S32;
  form.saturates = decoding.has("sat");
  form.addsOne = decoding.has("po");
  form.negatesProduct = decoding.operand(1).isNegated != decoding.operand(2).isNegated;
  form.negatesC = decoding.operand(3).isNegated;
  form.shift = decoding.has("shr7") ? 7 : decoding.has("shr15") ? 15 : 0;
  form.bitsA = a.bits;
  form.bitsB = b.bits;
  Parts parts{};
  parts.a[0] = a.number;
  parts.b[0] = b.number;
  decoding.out.modifiers = std::bit_cast<uint32_t>(form);
  decoding.out.immediate = std::bit_cast<int64_t>(parts);
  return evaluate<MultiplyForm>;
}

} // namespace

void addVideo(SelectorTable &table) {
  table["vadd"] = selectOne<Op::Add>;
  table["vsub"] = selectOne<Op::Subtract>;
  table["vabsdiff"] = selectOne<Op::Difference>;
  table["vmin"] = selectOne<Op::Minimum>;
  table["vmax"] = selectOne<Op::Maximum>;
  table["vshl"] = selectOne<Op::ShiftLeft>;
  table["vshr"] = selectOne<Op::ShiftRight>;
  table["vset"] = selectOne<Op::Set>;
  table["vmad"] = selectMultiply;
  table["vadd2"] = selectMany<Op::Add, 2>;
  table["vadd4"] = selectMany<Op::Add, 4>;
  table["vsub2"] = selectMany<Op::Subtract, 2>;
  table["vsub4"] = selectMany<Op::Subtract, 4>;
  table["vabsdiff2"] = selectMany<Op::Difference, 2>;
  table["vabsdiff4"] = selectMany<Op::Difference, 4>;
  table["vmin2"] = selectMany<Op::Minimum, 2>;
  table["vmin4"] = selectMany<Op::Minimum, 4>;
  table["vmax2"] = selectMany<Op::Maximum, 2>;
  table["vmax4"] = selectMany<Op::Maximum, 4>;
  table["vavrg2"] = selectMany<Op::Average, 2>;
  table["vavrg4"] = selectMany<Op::Average, 4>;
  table["vset2"] = selectMany<Op::Set, 2>;
  table["vset4"] = selectMany<Op::Set, 4>;
}

} // namespace vgpu::VGPU_VARIANT
