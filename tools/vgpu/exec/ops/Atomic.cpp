// atom and red: one lane after the other.
#include "exec/ops/Families.h"
#include "exec/ops/Float.h"
#include "exec/ops/MemoryPath.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

enum class Op : uint8_t { Add, Min, Max, And, Or, Xor, Inc, Dec, Exch, Cas };

template <class T> T combine(Op op, T old, T value, T swap) {
  switch (op) {
  case Op::Add:
    return T(std::make_unsigned_t<T>(old) + std::make_unsigned_t<T>(value));
  case Op::Min:
    return std::min(old, value);
  case Op::Max:
    return std::max(old, value);
  case Op::And:
    return old & value;
  case Op::Or:
    return old | value;
  case Op::Xor:
    return old ^ value;
  case Op::Inc:
    return old >= value ? 0 : old + 1;
  case Op::Dec:
    return old == 0 || old > value ? value : old - 1;
  case Op::Exch:
    return value;
  case Op::Cas:
    return old == value ? swap : old;
  }
  return old;
}

float combine(Op op, float old, float value, float) {
  return op == Op::Exch ? value : canonical(old + value);
}
double combine(Op op, double old, double value, double) {
  return op == Op::Exch ? value : old + value;
}

template <class T> T combineNarrow(Op op, T old, T value) {
  float a = toFloat(old), b = toFloat(value);
  switch (op) {
  case Op::Min:
    return b < a || a != a ? value : old;
  case Op::Max:
    return b > a || a != a ? value : old;
  default:
    return fromFloat<T>(a + b);
  }
}
Half combine(Op op, Half old, Half value, Half) { return combineNarrow(op, old, value); }
Bfloat combine(Op op, Bfloat old, Bfloat value, Bfloat) { return combineNarrow(op, old, value); }

/// Two narrow floats in a word.
template <class T> struct Pair {
  uint32_t bits;
};
template <class T> Pair<T> combine(Op op, Pair<T> old, Pair<T> value, Pair<T>) {
  T low = combineNarrow(op, T{uint16_t(old.bits)}, T{uint16_t(value.bits)});
  T high = combineNarrow(op, T{uint16_t(old.bits >> 16)}, T{uint16_t(value.bits >> 16)});
  return {uint32_t{high.bits} << 16 | low.bits};
}

/// Operand 0: address. List: for each element its destination, value and, for
/// cas, what to write.
template <class T> Step atomic(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  Accessed accessed;
  access(warp, instruction, 0, lanes, AccessKind::Atomic, accessed);
  warp.yield(32);
  Op op = static_cast<Op>(instruction.modifiers);
  forLanes(lanes, [&](int lane) {
    for (uint32_t element = 0; element < instruction.memory.elements; ++element) {
      const Operand *operands = instruction.list + 3 * element;
      uint8_t *at = accessed.of(lane) + element * sizeof(T);
      T old, value = Lane<T>::get(warp.lanes<Storage<T>>(operands[1])[lane]);
      T swap = Lane<T>::get(warp.lanes<Storage<T>>(operands[2])[lane]);
      std::memcpy(&old, at, sizeof old);
      T result = combine(op, old, value, swap);
      std::memcpy(at, &result, sizeof result);
      warp.lanes<Storage<T>>(operands[0])[lane] = Lane<T>::put(old);
    }
    if (accessed.local)
      finish(warp, instruction, accessed);
  });
  return Step::Next;
}

/// 128 bits: exchange and compare-and-swap.
Step atomic128(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  Accessed accessed;
  access(warp, instruction, 0, lanes, AccessKind::Atomic, accessed);
  bool isCas = static_cast<Op>(instruction.modifiers) == Op::Cas;
  uint64_t *to = warp.lanes<uint64_t>(instruction.list[0]);
  const uint64_t *value = warp.lanes<uint64_t>(instruction.list[1]);
  const uint64_t *swap = warp.lanes<uint64_t>(instruction.list[2]);
  forLanes(lanes, [&](int lane) {
    uint64_t old[2], result[2];
    std::memcpy(old, accessed.of(lane), sizeof old);
    bool matches = old[0] == value[lane] && old[1] == value[kWarpSize + lane];
    for (int half = 0; half < 2; ++half) {
      size_t at = half * kWarpSize + lane;
      result[half] = !isCas ? value[at] : matches ? swap[at] : old[half];
    }
    std::memcpy(accessed.of(lane), result, sizeof result);
    to[lane] = old[0];
    to[kWarpSize + lane] = old[1];
  });
  return Step::Next;
}

Op opOf(Decoding &decoding) {
  constexpr std::pair<std::string_view, Op> names[] = {
      {"add", Op::Add}, {"min", Op::Min}, {"max", Op::Max}, {"and", Op::And},   {"or", Op::Or},
      {"xor", Op::Xor}, {"inc", Op::Inc}, {"dec", Op::Dec}, {"exch", Op::Exch}, {"cas", Op::Cas}};
  for (auto [name, op] : names)
    if (decoding.has(name))
      return op;
  decoding.unsupported();
}

Handler byType(Decoding &decoding, Type type, Op op) {
  switch (type) {
  case Type::B16:
    return atomic<uint16_t>;
  case Type::S32:
    return atomic<int32_t>;
  case Type::B32:
  case Type::U32:
    return atomic<uint32_t>;
  case Type::S64:
    return atomic<int64_t>;
  case Type::B64:
  case Type::U64:
    return atomic<uint64_t>;
  case Type::B128:
    return atomic128;
  default:
    break;
  }
  bool isNarrow = type != Type::F32 && type != Type::F64;
  bool isKnown = op == Op::Add || op == Op::Exch || (isNarrow && (op == Op::Min || op == Op::Max));
  if (!isKnown)
    decoding.unsupported();
  switch (type) {
  case Type::F32:
    return atomic<float>;
  case Type::F64:
    return atomic<double>;
  case Type::F16:
    return atomic<Half>;
  case Type::BF16:
    return atomic<Bfloat>;
  case Type::F16x2:
    return atomic<Pair<Half>>;
  case Type::BF16x2:
    return atomic<Pair<Bfloat>>;
  default:
    decoding.unsupported();
  }
}

Handler select(Decoding &decoding) {
  bool returns = decoding.source.opcode == "atom";
  if (decoding.has("async"))
    return selectAsyncStore(decoding);
  size_t first = returns ? 1 : 0; // operand of the address
  Type type = decoding.type();
  Op op = opOf(decoding);
  decoding.out.kind = InstructionClass::Atomic;
  decoding.out.type = type;
  decoding.out.modifiers = static_cast<uint32_t>(op);
  decoding.out.memory.order = Order::Relaxed;
  decoding.out.memory.scope = Scope::Device;
  decoding.memoryForm();
  size_t sources = op == Op::Cas ? 2 : 1;
  decoding.expectOperands(first + 1 + sources, first + 2 + sources); // a cache policy may follow
  std::vector<Operand> list;
  auto values = decoding.elements(first + 1);
  for (size_t element = 0; element < values.size(); ++element) {
    list.push_back(returns ? decoding.write(*decoding.elements(0).at(element), type)
                           : decoding.builder.scratch(type));
    list.push_back(decoding.read(*values[element], type));
    list.push_back(op == Op::Cas ? decoding.read(first + 2, type) : list.back());
  }
  decoding.out.memory.elementBytes = static_cast<uint8_t>(ptx::sizeOf(type));
  decoding.out.memory.elements = static_cast<uint8_t>(values.size());
  decoding.setList(std::move(list));
  decoding.address(first, 0);
  if (decoding.out.memory.space != ptx::Space::Shared)
    decoding.builder.program.traits.hasGlobalAtomics = true;
  return byType(decoding, type, op);
}

} // namespace

void addAtomic(SelectorTable &table) {
  table["atom"] = select;
  table["red"] = select;
}

} // namespace vgpu::VGPU_VARIANT
