// mbarrier, and the fences that only asynchronous operations need.
#include "check/Observer.h"
#include "exec/ops/Async.h"

namespace vgpu::VGPU_VARIANT {
namespace {

// operands: result, address, count or bytes or parity or state

uint32_t addressAt(Warp &warp, const Instruction &instruction, int lane) {
  uint64_t given = warp.lanes<uint64_t>(instruction.operands[1])[lane];
  uint32_t address = sharedAddress(warp.block, lane, given, 8);
  if (address % 8)
    throw Fault(FindingKind::Misaligned, "an mbarrier is 8 bytes, aligned to its size", lane,
                given);
  return address;
}

/// Calls visit(some, address) for lanes that name one mbarrier and for which
/// `isAlike(first of them, lane)` holds.
template <class Alike, class Visit>
void eachGroup(Warp &warp, const Instruction &instruction, LaneMask lanes, Alike isAlike,
               Visit visit) {
  const uint64_t *addresses = warp.lanes<uint64_t>(instruction.operands[1]);
  while (lanes) {
    int first = std::countr_zero(lanes);
    LaneMask some = lanes & maskOf([&](int lane) {
                      return addresses[lane] == addresses[first] && isAlike(first, lane);
                    });
    visit(some, addressAt(warp, instruction, first));
    lanes &= ~some;
  }
}

/// Calls visit(lane, barrier, operand), with misuse as a fault of the lane.
template <class Visit>
void eachBarrier(Warp &warp, const Instruction &instruction, LaneMask lanes, Visit visit) {
  const uint32_t *operand = warp.lanes<uint32_t>(instruction.operands[2]);
  forLanes(lanes, [&](int lane) {
    uint32_t address = addressAt(warp, instruction, lane);
    try {
      visit(lane, asynchronyOf(warp).barrier(lane, address), operand[lane]);
    } catch (const MbarrierError &error) {
      throw Fault(FindingKind::Asynchronous, error.what(), lane, address);
    }
  });
}

Step init(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint32_t *counts = warp.lanes<uint32_t>(instruction.operands[2]);
  forLanes(lanes, [&](int lane) {
    uint32_t address = addressAt(warp, instruction, lane);
    try {
      asynchronyOf(warp).initBarrier(warp, lane, address, counts[lane]);
    } catch (const MbarrierError &error) {
      throw Fault(FindingKind::Asynchronous, error.what(), lane, address);
    }
  });
  return Step::Next;
}

Step invalidate(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  forLanes(lanes, [&](int lane) {
    asynchronyOf(warp).invalidateBarrier(warp, lane, addressAt(warp, instruction, lane));
  });
  return Step::Next;
}

template <bool completes>
Step transact(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  eachBarrier(warp, instruction, lanes, [&](int, Mbarrier &barrier, uint32_t bytes) {
    completes ? barrier.completeBytes(bytes) : barrier.expectBytes(bytes);
  });
  return Step::Next;
}

enum class Arrival : uint8_t { Plain, Drop, NoComplete, DropNoComplete, Expect, DropExpect };

MbarrierToken arriveAs(Arrival arrival, Mbarrier &barrier, uint32_t operand) {
  switch (arrival) {
  case Arrival::Plain:
    return barrier.arrive(operand);
  case Arrival::Drop:
    return barrier.arriveAndDrop(operand);
  case Arrival::NoComplete:
    return barrier.arriveWithoutCompleting(operand, false);
  case Arrival::DropNoComplete:
    return barrier.arriveWithoutCompleting(operand, true);
  case Arrival::Expect:
    barrier.expectBytes(operand);
    return barrier.arrive(1);
  case Arrival::DropExpect:
    barrier.expectBytes(operand);
    return barrier.arriveAndDrop(1);
  }
  return {};
}

Step arrive(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  auto *states = warp.lanes<uint64_t>(instruction.operands[0]);
  if (Observer *observer = warp.block.machine.observer)
    eachGroup(
        warp, instruction, lanes, [](int, int) { return true; },
        [&](LaneMask some, uint32_t address) { observer->mbarrierArrive(warp, some, address); });
  eachBarrier(warp, instruction, lanes, [&](int lane, Mbarrier &barrier, uint32_t operand) {
    states[lane] = arriveAs(static_cast<Arrival>(instruction.modifiers), barrier, operand).bits;
  });
  return Step::Next;
}

Step pendingCount(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const auto *states = warp.lanes<uint64_t>(instruction.operands[1]);
  eachLane(warp.lanes<uint32_t>(instruction.operands[0]), lanes,
           [=](int lane) { return MbarrierToken{states[lane]}.pending(); });
  return Step::Next;
}

enum : uint32_t { kParity = 1, kMayBlock = 2 };

bool isOver(Warp &warp, const Instruction &instruction, int lane, uint32_t address) {
  const Mbarrier &barrier = asynchronyOf(warp).barrier(lane, address);
  if (instruction.modifiers & kParity) {
    uint32_t parity = warp.lanes<uint32_t>(instruction.operands[2])[lane];
    if (parity > 1)
      throw Fault(FindingKind::InvalidInstruction,
                  "the parity of a phase is 0 or 1, not " + std::to_string(parity), lane);
    return barrier.isOver(parity != 0);
  }
  return barrier.isOver(MbarrierToken{warp.lanes<uint64_t>(instruction.operands[2])[lane]});
}

enum class Answer : uint8_t { Over, Pending, Refused };

/// For lanes that ask the same.
Answer poll(Warp &warp, const Instruction &instruction, LaneMask lanes, uint32_t address) {
  Asynchrony &asynchrony = asynchronyOf(warp);
  int first = std::countr_zero(lanes);
  try {
    bool over = isOver(warp, instruction, first, address);
    bool isRefused = !over && !warp.counts() && asynchrony.isFirstPoll(warp, lanes, address);
    if (!over && !isRefused) {
      asynchrony.settle(address);
      over = isOver(warp, instruction, first, address);
    }
    asynchrony.notePoll(warp, lanes, address, over);
    if (Observer *observer = warp.block.machine.observer; observer && over)
      observer->mbarrierWait(warp, lanes, address);
    return over ? Answer::Over : isRefused ? Answer::Refused : Answer::Pending;
  } catch (const MbarrierError &error) {
    throw Fault(FindingKind::Asynchronous, error.what(), first, address);
  }
}

/// try_wait may give up at any time, so it does once where it would have to wait:
/// a kernel that goes on regardless is found. After that, and where instructions
/// are counted, whose number must not depend on it, it blocks until a lane can go on.
Step wait(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  LaneMask over = 0, refused = 0;
  const auto *parities = warp.lanes<uint32_t>(instruction.operands[2]);
  const auto *states = warp.lanes<uint64_t>(instruction.operands[2]);
  auto asksTheSame = [&](int first, int lane) {
    return instruction.modifiers & kParity ? parities[lane] == parities[first]
                                           : states[lane] == states[first];
  };
  eachGroup(warp, instruction, lanes, asksTheSame, [&](LaneMask some, uint32_t address) {
    Answer answer = poll(warp, instruction, some, address);
    over |= answer == Answer::Over ? some : 0;
    refused |= answer == Answer::Refused ? some : 0;
  });
  if (!over && !refused && (instruction.modifiers & kMayBlock))
    return Step::Wait;
  if (over != lanes)
    warp.yield(32);
  warp.setPredicate(instruction.operands[0], lanes, over);
  return Step::Next;
}

// --- Decoding

/// The operand after the address, or 1.
Operand countOperand(Decoding &decoding, size_t number) {
  return decoding.operandCount() > number ? decoding.read(number, Type::U32)
                                          : decoding.builder.constant(1, 4);
}

Handler selectArrive(Decoding &decoding, bool drops) {
  bool isExpecting = decoding.has("expect_tx"), isIncomplete = decoding.has("noComplete");
  Arrival arrival = isExpecting    ? (drops ? Arrival::DropExpect : Arrival::Expect)
                    : isIncomplete ? (drops ? Arrival::DropNoComplete : Arrival::NoComplete)
                                   : (drops ? Arrival::Drop : Arrival::Plain);
  decoding.out.modifiers = static_cast<uint32_t>(arrival);
  bool hasState = decoding.operand(0).kind != ptx::Operand::Kind::Address;
  size_t address = hasState ? 1 : 0;
  decoding.expectOperands(address + (isExpecting || isIncomplete ? 2 : 1), address + 2);
  if (!drops && hasState && decoding.operand(0).kind == ptx::Operand::Kind::Sink)
    require(decoding, {80, 71});
  if (!isExpecting && !isIncomplete && decoding.operandCount() == address + 2)
    require(decoding, {90, 78});
  decoding.out.operands[0] =
      hasState ? decoding.write(0, Type::B64) : decoding.builder.scratch(Type::B64);
  decoding.out.operands[1] = addressOperand(decoding, decoding.operand(address));
  decoding.out.operands[2] = countOperand(decoding, address + 1);
  return arrive;
}

Handler selectWait(Decoding &decoding) {
  decoding.expectOperands(3, 4); // a hint how long to wait may follow
  if (decoding.has("try_wait"))
    decoding.out.modifiers |= kMayBlock;
  decoding.out.operands[0] = decoding.writePredicate(decoding.operand(0));
  decoding.out.operands[1] = addressOperand(decoding, decoding.operand(1));
  if (decoding.has("parity")) {
    decoding.out.modifiers |= kParity;
    decoding.out.operands[2] = decoding.read(2, Type::U32);
  } else {
    decoding.out.operands[2] = decoding.read(2, Type::B64);
  }
  return wait;
}

Handler selectMbarrier(Decoding &decoding) {
  usesAsynchrony(decoding, false);
  if (decoding.has("test_wait") || decoding.has("try_wait"))
    return selectWait(decoding);
  if (decoding.has("arrive") || decoding.has("arrive_drop"))
    return selectArrive(decoding, decoding.has("arrive_drop"));
  if (decoding.has("pending_count")) {
    decoding.expectOperands(2);
    decoding.out.operands[0] = decoding.write(0, Type::U32);
    decoding.out.operands[1] = decoding.read(1, Type::B64);
    return pendingCount;
  }
  decoding.out.operands[1] = addressOperand(decoding, decoding.operand(0));
  if (decoding.has("inval")) {
    decoding.expectOperands(1);
    return invalidate;
  }
  decoding.expectOperands(2);
  decoding.out.operands[2] = decoding.read(1, Type::U32);
  if (decoding.has("init"))
    return init;
  if (decoding.has("expect_tx"))
    return transact<false>;
  if (decoding.has("complete_tx"))
    return transact<true>;
  decoding.unsupported();
}

// --- Fences

Step fenceProxy(Warp &warp, const Instruction &, LaneMask lanes) {
  asynchronyOf(warp).flights.fence(warp, lanes);
  return Step::Next;
}

Step fenceInit(Warp &warp, const Instruction &, LaneMask lanes) {
  asynchronyOf(warp).fenceBarrierInit(warp, lanes);
  return Step::Next;
}

/// Proxies other than the asynchronous one see everything here.
Step fenceNothing(Warp &, const Instruction &, LaneMask) { return Step::Next; }

} // namespace

Handler selectProxyFence(Decoding &decoding) {
  if (decoding.has("tensormap::generic"))
    return selectTensorMapFence(decoding);
  usesAsynchrony(decoding, false);
  decoding.out.kind = InstructionClass::Barrier;
  if (decoding.has("mbarrier_init"))
    return fenceInit;
  bool isAsync =
      decoding.has("async") || decoding.has("async.global") || decoding.has("async::generic");
  return isAsync ? fenceProxy : fenceNothing;
}

void addMbarrier(SelectorTable &table) { table["mbarrier"] = selectMbarrier; }

} // namespace vgpu::VGPU_VARIANT
