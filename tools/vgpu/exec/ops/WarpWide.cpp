// Instructions in which lanes of a warp look at each other.
#include "exec/ops/Families.h"
#include "exec/ops/Lanes.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

/// The members that the lanes name come together; 0 if the path has to wait. They
/// exchange values of registers: this orders no accesses to memory.
LaneMask meet(Warp &warp, const Instruction &instruction, size_t membersOperand, LaneMask lanes) {
  const uint32_t *members = warp.lanes<uint32_t>(instruction.operands[membersOperand]);
  LaneMask all = 0;
  forLanes(lanes, [&](int lane) {
    if (!(members[lane] >> lane & 1))
      throw Fault(FindingKind::InvalidInstruction,
                  "a lane that is no member of its own mask executes it", lane);
    all |= members[lane];
  });
  return warp.gather(lanes, all);
}

enum class Shuffle : uint8_t { Up, Down, Butterfly, Index };

/// operands: d, p, a, b, c, members
template <Shuffle mode> Step shuffle(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  lanes = meet(warp, instruction, 5, lanes);
  if (!lanes)
    return Step::Jump;
  uint32_t from[kWarpSize];
  std::memcpy(from, warp.lanes<uint32_t>(instruction.operands[2]), sizeof from);
  const uint32_t *b = warp.lanes<uint32_t>(instruction.operands[3]);
  const uint32_t *c = warp.lanes<uint32_t>(instruction.operands[4]);
  uint32_t result[kWarpSize];
  uint8_t inRange[kWarpSize];
  for (int lane = 0; lane < kWarpSize; ++lane) {
    int distance = b[lane] & 31, clamp = c[lane] & 31, segment = c[lane] >> 8 & 31;
    int least = lane & segment, most = (lane & segment) | (clamp & ~segment);
    int source = 0;
    bool isIn = false;
    switch (mode) {
    case Shuffle::Up:
      source = lane - distance, isIn = source >= most;
      break;
    case Shuffle::Down:
      source = lane + distance, isIn = source <= most;
      break;
    case Shuffle::Butterfly:
      source = lane ^ distance, isIn = source <= most;
      break;
    case Shuffle::Index:
      source = least | (distance & ~segment), isIn = source <= most;
      break;
    }
    source = isIn ? source : lane;
    result[lane] = from[source & 31];
    inRange[lane] = isIn;
    bool isActive = lanes >> source & 1;
    if (!isActive && (lanes >> lane & 1)) [[unlikely]]
      throw Fault(FindingKind::InvalidInstruction,
                  "reads lane " + std::to_string(source) + ", which does not take part", lane);
  }
  warp.setPredicate(instruction.operands[1], lanes,
                    maskOf([&](int lane) { return inRange[lane]; }));
  eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes,
           [&](int lane) { return result[lane]; });
  return Step::Next;
}

/// `d|p` where either may be missing.
void valueAndPredicate(Decoding &decoding, Type type) {
  const ptx::Operand &to = decoding.operand(0);
  decoding.out.operands[0] = decoding.write(to, type);
  decoding.out.operands[1] =
      to.second < 0 ? decoding.builder.scratch(Type::Pred) : decoding.writePredicate(to.second);
}

Handler selectShuffle(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Shuffle;
  if (!decoding.has("sync"))
    decoding.fail("needs .sync");
  decoding.expectOperands(5);
  valueAndPredicate(decoding, Type::B32);
  for (size_t source = 1; source <= 4; ++source)
    decoding.out.operands[source + 1] = decoding.read(source, Type::B32);
  if (decoding.has("up"))
    return shuffle<Shuffle::Up>;
  if (decoding.has("down"))
    return shuffle<Shuffle::Down>;
  if (decoding.has("bfly"))
    return shuffle<Shuffle::Butterfly>;
  if (decoding.has("idx"))
    return shuffle<Shuffle::Index>;
  decoding.unsupported();
}

enum class Vote : uint8_t { All, Any, Uniform, Ballot };

/// operands: d, predicate, members
template <Vote mode> Step vote(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  lanes = meet(warp, instruction, 2, lanes);
  if (!lanes)
    return Step::Jump;
  LaneMask holds = warp.predicate(instruction.operands[1]) & lanes;
  if constexpr (mode == Vote::Ballot) {
    eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes, [=](int) { return holds; });
  } else {
    bool all = holds == lanes, any = holds != 0;
    bool result = mode == Vote::All ? all : mode == Vote::Any ? any : all || !any;
    warp.setPredicate(instruction.operands[0], lanes, -LaneMask{result});
  }
  return Step::Next;
}

Handler selectVote(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Vote;
  if (!decoding.has("sync"))
    decoding.fail("needs .sync");
  decoding.expectOperands(3);
  bool isBallot = decoding.has("ballot");
  decoding.out.operands[0] =
      isBallot ? decoding.write(0, Type::B32) : decoding.writePredicate(decoding.operand(0));
  decoding.out.operands[1] = decoding.readPredicate(decoding.operand(1));
  decoding.out.operands[2] = decoding.read(2, Type::B32);
  if (isBallot)
    return vote<Vote::Ballot>;
  if (decoding.has("all"))
    return vote<Vote::All>;
  if (decoding.has("any"))
    return vote<Vote::Any>;
  return vote<Vote::Uniform>;
}

/// match.any: the lanes with the same value. match.all: all lanes, if all agree.
template <class S, bool isAll>
Step match(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  lanes = meet(warp, instruction, 3, lanes);
  if (!lanes)
    return Step::Jump;
  const S *value = warp.lanes<S>(instruction.operands[2]);
  uint32_t *to = warp.lanes<uint32_t>(instruction.operands[0]);
  LaneMask same[kWarpSize];
  forLanes(lanes, [&](int lane) {
    same[lane] = 0;
    forLanes(lanes,
             [&](int other) { same[lane] |= LaneMask{value[other] == value[lane]} << other; });
  });
  bool agree = same[std::countr_zero(lanes)] == lanes;
  forLanes(lanes, [&](int lane) { to[lane] = isAll ? (agree ? lanes : 0) : same[lane]; });
  if (isAll)
    warp.setPredicate(instruction.operands[1], lanes, -LaneMask{agree});
  return Step::Next;
}

Handler selectMatch(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Vote;
  decoding.expectOperands(3);
  valueAndPredicate(decoding, Type::B32);
  decoding.out.operands[2] = decoding.read(1, decoding.type());
  decoding.out.operands[3] = decoding.read(2, Type::B32);
  bool isWide = ptx::sizeOf(decoding.type()) == 8;
  if (decoding.has("all"))
    return isWide ? match<uint64_t, true> : match<uint32_t, true>;
  return isWide ? match<uint64_t, false> : match<uint32_t, false>;
}

enum class Reduction : uint8_t { Add, Min, Max, And, Or, Xor };

template <class T> T reduce(Reduction op, T a, T b) {
  switch (op) {
  case Reduction::Add:
    return T(uint32_t(a) + uint32_t(b));
  case Reduction::Min:
    return std::min(a, b);
  case Reduction::Max:
    return std::max(a, b);
  case Reduction::And:
    return a & b;
  case Reduction::Or:
    return a | b;
  case Reduction::Xor:
    return a ^ b;
  }
  return a;
}

template <class T> Step reduction(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  lanes = meet(warp, instruction, 2, lanes);
  if (!lanes)
    return Step::Jump;
  const T *from = warp.lanes<T>(instruction.operands[1]);
  auto op = static_cast<Reduction>(instruction.modifiers);
  T result = from[std::countr_zero(lanes)];
  forLanes(lanes & (lanes - 1), [&](int lane) { result = reduce(op, result, from[lane]); });
  eachLane(warp.lanes<T>(instruction.operands[0]), lanes, [=](int) { return result; });
  return Step::Next;
}

Handler selectReduction(Decoding &decoding) {
  constexpr std::pair<std::string_view, Reduction> names[] = {
      {"add", Reduction::Add}, {"min", Reduction::Min}, {"max", Reduction::Max},
      {"and", Reduction::And}, {"or", Reduction::Or},   {"xor", Reduction::Xor}};
  decoding.out.kind = InstructionClass::Vote;
  decoding.expectOperands(3);
  Type type = decoding.type();
  if (ptx::isFloat(type))
    decoding.unsupported(); // of sm_100a
  for (auto [name, op] : names)
    if (decoding.has(name))
      decoding.out.modifiers = static_cast<uint32_t>(op);
  decoding.out.operands[0] = decoding.write(0, type);
  decoding.out.operands[1] = decoding.read(1, type);
  decoding.out.operands[2] = decoding.read(2, Type::B32);
  return ptx::isSigned(type) ? reduction<int32_t> : reduction<uint32_t>;
}

Step activeMask(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes, [=](int) { return lanes; });
  return Step::Next;
}

Handler selectActiveMask(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Vote;
  decoding.out.operands[0] = decoding.write(0, Type::B32);
  return activeMask;
}

/// elect.sync d|p, members: the lowest lane.
Step elect(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  lanes = meet(warp, instruction, 2, lanes);
  if (!lanes)
    return Step::Jump;
  auto leader = static_cast<uint32_t>(std::countr_zero(lanes));
  eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes, [=](int) { return leader; });
  warp.setPredicate(instruction.operands[1], lanes, LaneMask{1} << leader);
  return Step::Next;
}

Handler selectElect(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Vote;
  decoding.expectOperands(2);
  valueAndPredicate(decoding, Type::B32);
  decoding.out.operands[2] = decoding.read(1, Type::B32);
  return elect;
}

} // namespace

void addWarpWide(SelectorTable &table) {
  table["shfl"] = selectShuffle;
  table["vote"] = selectVote;
  table["match"] = selectMatch;
  table["redux"] = selectReduction;
  table["activemask"] = selectActiveMask;
  table["elect"] = selectElect;
}

} // namespace vgpu::VGPU_VARIANT
