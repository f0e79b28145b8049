// Moves and addresses.
#include "exec/ops/Families.h"
#include "exec/ops/Lanes.h"
#include "exec/ops/SpecialRegisters.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

template <class S> Step move(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const S *from = warp.lanes<S>(instruction.operands[1]);
  eachLane(warp.lanes<S>(instruction.operands[0]), lanes, [=](int lane) { return from[lane]; });
  return Step::Next;
}

Step move128(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint64_t *to = warp.lanes<uint64_t>(instruction.operands[0]);
  const uint64_t *from = warp.lanes<uint64_t>(instruction.operands[1]);
  for (int half = 0; half < 2; ++half)
    eachLane(to + kWarpSize * half, lanes, [=](int lane) { return from[kWarpSize * half + lane]; });
  return Step::Next;
}

Step movePredicate(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  warp.setPredicate(instruction.operands[0], lanes, warp.predicate(instruction.operands[1]));
  return Step::Next;
}

/// The parts of a lane's value, low part first; 128 bits are two halves.
uint64_t getPart(const Warp &warp, Operand operand, int bytes, int lane) {
  return bytes >= 8 ? warp.lanes<uint64_t>(operand)[lane] : warp.lanes<uint32_t>(operand)[lane];
}

/// mov.b64 %rd, {%r0, %r1}; immediate: bits of a part.
template <class S> Step pack(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  auto bits = static_cast<int>(instruction.immediate);
  S *to = warp.lanes<S>(instruction.operands[0]);
  forLanes(lanes, [&](int lane) {
    S value = 0;
    for (uint32_t part = 0; part < instruction.listCount; ++part)
      value |= S(getPart(warp, instruction.list[part], bits / 8, lane)) << bits * part;
    to[lane] = value;
  });
  return Step::Next;
}

Step packPair(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint32_t *low = warp.lanes<uint32_t>(instruction.list[0]);
  const uint32_t *high = warp.lanes<uint32_t>(instruction.list[1]);
  eachLane(warp.lanes<uint64_t>(instruction.operands[0]), lanes,
           [=](int lane) { return uint64_t{high[lane]} << 32 | low[lane]; });
  return Step::Next;
}

Step pack128(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint64_t *to = warp.lanes<uint64_t>(instruction.operands[0]);
  uint32_t perHalf = instruction.listCount / 2;
  int bits = 64 / static_cast<int>(perHalf);
  forLanes(lanes, [&](int lane) {
    uint64_t halves[2] = {};
    for (uint32_t part = 0; part < instruction.listCount; ++part)
      halves[part / perHalf] |= getPart(warp, instruction.list[part], bits / 8, lane)
                                << bits * (part % perHalf);
    to[lane] = halves[0];
    to[kWarpSize + lane] = halves[1];
  });
  return Step::Next;
}

/// mov.b64 {%r0, %r1}, %rd
template <class S> Step unpack(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  auto bits = static_cast<int>(instruction.immediate);
  S from[kWarpSize];
  std::memcpy(from, warp.lanes<S>(instruction.operands[1]), sizeof from);
  for (uint32_t part = 0; part < instruction.listCount; ++part) {
    uint32_t mask = bits == 32 ? ~0u : (1u << bits) - 1;
    eachLane(warp.lanes<uint32_t>(instruction.list[part]), lanes,
             [=](int lane) { return static_cast<uint32_t>(from[lane] >> bits * part) & mask; });
  }
  return Step::Next;
}

Step unpack128(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint64_t from[2 * kWarpSize];
  std::memcpy(from, warp.lanes<uint64_t>(instruction.operands[1]), sizeof from);
  uint32_t perHalf = instruction.listCount / 2;
  int bits = 64 / static_cast<int>(perHalf);
  forLanes(lanes, [&](int lane) {
    for (uint32_t part = 0; part < instruction.listCount; ++part) {
      uint64_t half = from[part / perHalf * kWarpSize + lane] >> bits * (part % perHalf);
      if (bits == 64)
        warp.lanes<uint64_t>(instruction.list[part])[lane] = half;
      else
        warp.lanes<uint32_t>(instruction.list[part])[lane] = static_cast<uint32_t>(half);
    }
  });
  return Step::Next;
}

Type partType(Decoding &decoding, Type whole, size_t parts) {
  switch (ptx::sizeOf(whole) / parts) {
  case 1:
    return Type::B8;
  case 2:
    return Type::B16;
  case 4:
    return Type::B32;
  case 8:
    return Type::B64;
  default:
    decoding.fail("cannot split its type into " + std::to_string(parts) + " parts");
  }
}

Handler selectPack(Decoding &decoding, Type type) {
  auto elements = decoding.elements(1);
  Type part = partType(decoding, type, elements.size());
  std::vector<Operand> list;
  list.reserve(elements.size());
  for (const ptx::Operand *element : elements)
    list.push_back(decoding.read(*element, part));
  decoding.setList(std::move(list));
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.immediate = 8 * ptx::sizeOf(part);
  if (type == Type::B128)
    return pack128;
  if (ptx::sizeOf(type) == 8)
    return elements.size() == 2 ? packPair : pack<uint64_t>;
  return pack<uint32_t>;
}

Handler selectUnpack(Decoding &decoding, Type type) {
  auto elements = decoding.elements(0);
  Type part = partType(decoding, type, elements.size());
  std::vector<Operand> list;
  list.reserve(elements.size());
  for (const ptx::Operand *element : elements)
    list.push_back(decoding.write(*element, part));
  decoding.setList(std::move(list));
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.immediate = 8 * ptx::sizeOf(part);
  if (type == Type::B128)
    return unpack128;
  return ptx::sizeOf(type) == 8 ? unpack<uint64_t> : unpack<uint32_t>;
}

Handler selectMov(Decoding &decoding) {
  decoding.expectOperands(2);
  decoding.out.kind = InstructionClass::Move;
  Type type = decoding.type();
  decoding.out.type = type;
  const ptx::Operand &to = decoding.operand(0), &from = decoding.operand(1);
  if (to.kind == ptx::Operand::Kind::Vector)
    return selectUnpack(decoding, type);
  if (from.kind == ptx::Operand::Kind::Vector)
    return selectPack(decoding, type);
  if (type == Type::Pred) {
    decoding.out.operands[0] = decoding.writePredicate(to);
    if (from.kind == ptx::Operand::Kind::Special)
      decoding.unsupported();
    decoding.out.operands[1] = decoding.readPredicate(from);
    return movePredicate;
  }
  decoding.out.operands[0] = decoding.write(to, type);
  if (from.kind == ptx::Operand::Kind::Special)
    return selectSpecialRegister(decoding);
  decoding.out.operands[1] = decoding.read(from, type);
  switch (ptx::sizeOf(type)) {
  case 16:
    return move128;
  case 8:
    return move<uint64_t>;
  default:
    return move<uint32_t>;
  }
}

// --- Addresses

/// cvta: adds the window (immediate) of a space, or takes it off.
template <class S> Step addWindow(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const S *from = warp.lanes<S>(instruction.operands[1]);
  auto window = static_cast<uint64_t>(instruction.immediate);
  eachLane(warp.lanes<S>(instruction.operands[0]), lanes,
           [=](int lane) { return S(from[lane] | window); });
  return Step::Next;
}
template <class S> Step removeWindow(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const S *from = warp.lanes<S>(instruction.operands[1]);
  eachLane(warp.lanes<S>(instruction.operands[0]), lanes,
           [=](int lane) { return S(from[lane] & ~kWindowMask); });
  return Step::Next;
}

uint64_t windowOf(ptx::Space space) {
  switch (space) {
  case ptx::Space::Shared:
    return kSharedWindow;
  case ptx::Space::Local:
    return kLocalWindow;
  case ptx::Space::Param:
    return kParamWindow;
  default:
    return 0;
  }
}

Handler selectCvta(Decoding &decoding) {
  decoding.expectOperands(2);
  decoding.memoryForm();
  decoding.out.kind = InstructionClass::Move;
  Type type = decoding.type();
  if (ptx::sizeOf(type) != 8)
    decoding.fail("needs 64-bit addresses");
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.immediate = static_cast<int64_t>(windowOf(decoding.out.memory.space));
  return decoding.has("to") ? removeWindow<uint64_t> : addWindow<uint64_t>;
}

Step isInSpace(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint64_t *address = warp.lanes<uint64_t>(instruction.operands[1]);
  auto window = static_cast<uint64_t>(instruction.immediate);
  warp.setPredicate(instruction.operands[0], lanes,
                    maskOf([=](int lane) { return (address[lane] & kWindowMask) == window; }));
  return Step::Next;
}

/// Constants have addresses as global variables do.
template <bool wantsConstant>
Step isGlobalOrConstant(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint64_t *addresses = warp.lanes<uint64_t>(instruction.operands[1]);
  LaneMask holds = 0;
  forLanes(lanes, [&](int lane) {
    std::optional<Allocation> found = warp.block.machine.memory.find(addresses[lane]);
    bool isConstant = found && found->kind == MemoryKind::Module && found->isReadOnly;
    bool isIn = wantsConstant ? isConstant : !(addresses[lane] & kWindowMask) && !isConstant;
    holds |= LaneMask{isIn} << lane;
  });
  warp.setPredicate(instruction.operands[0], lanes, holds);
  return Step::Next;
}

Handler selectIsspacep(Decoding &decoding) {
  decoding.expectOperands(2);
  decoding.memoryForm();
  decoding.out.operands[0] = decoding.writePredicate(decoding.operand(0));
  decoding.out.operands[1] = decoding.read(1, Type::U64);
  decoding.out.immediate = static_cast<int64_t>(windowOf(decoding.out.memory.space));
  if (decoding.out.memory.space == ptx::Space::Const)
    return isGlobalOrConstant<true>;
  if (decoding.out.memory.space == ptx::Space::Global)
    return isGlobalOrConstant<false>;
  return isInSpace;
}

// --- Clusters of one block: every address is the block's own.

Step mapToRank(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint32_t *rank = warp.lanes<uint32_t>(instruction.operands[2]);
  forLanes(lanes, [&](int lane) {
    if (rank[lane] != 0)
      throw Fault(FindingKind::InvalidInstruction,
                  "maps to block " + std::to_string(rank[lane]) + " of a cluster of one block",
                  lane);
  });
  return ptx::sizeOf(instruction.type) == 8 ? move<uint64_t>(warp, instruction, lanes)
                                            : move<uint32_t>(warp, instruction, lanes);
}

Handler selectMapa(Decoding &decoding) {
  decoding.expectOperands(3);
  Type type = decoding.type();
  decoding.out.type = type;
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, Type::U32);
  return mapToRank;
}

Handler selectRank(Decoding &decoding) {
  decoding.expectOperands(2);
  decoding.out.operands[0] = decoding.write(0, Type::U32);
  decoding.out.operands[1] = decoding.builder.constant(0, 4);
  return move<uint32_t>;
}

Step localAddress(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint64_t address = warp.localBase() + static_cast<uint64_t>(instruction.immediate);
  if (ptx::sizeOf(instruction.type) == 8)
    forLanes(lanes, [to = warp.lanes<uint64_t>(instruction.operands[0]), address](int lane) {
      to[lane] = address;
    });
  else
    forLanes(lanes, [to = warp.lanes<uint32_t>(instruction.operands[0]), address](int lane) {
      to[lane] = static_cast<uint32_t>(address);
    });
  return Step::Next;
}

Handler selectLocalAddress(Decoding &) { return localAddress; }

} // namespace

void addMove(SelectorTable &table) {
  table["mov"] = selectMov;
  table["cvta"] = selectCvta;
  table["isspacep"] = selectIsspacep;
  table["mapa"] = selectMapa;
  table["getctarank"] = selectRank;
  table[kReadSpecial] = selectSpecialRegister;
  table[kLocalAddress] = selectLocalAddress;
}

} // namespace vgpu::VGPU_VARIANT
