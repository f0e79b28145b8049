#include "exec/Warp.h"

#include "check/Profile.h"
#include "exec/Block.h"

#include <algorithm>
#include <bit>

namespace vgpu {

Warp::Warp(Block &block, uint32_t index, LaneMask lanes)
    : block(block), index(index), existing(lanes) {
  kernelFrame = newFrame(*block.launch.program->functions[0], 0);
  Path path;
  path.lanes = lanes;
  path.frame = kernelFrame.get();
  paths.push_back(path);
}

std::unique_ptr<Frame> Warp::newFrame(const Function &function, uint32_t localBase) {
  auto result = std::make_unique<Frame>();
  result->function = &function;
  // Registers that a program reads before it writes them are at least the same in every run.
  result->registers.resize(std::max<uint32_t>(function.registerWords, 1));
  auto fill = [&](uint32_t begin, uint32_t end) {
    std::memset(result->registers.data() + begin, 0xdb, (end - begin) * sizeof(uint32_t));
  };
  fill(0, function.definedBegin);
  fill(function.definedEnd, function.registerWords);
  result->predicates.assign(function.predicates, 0);
  result->predicates[0] = kAllLanes;
  result->localBase = localBase;
  growLocal(localBase + function.localBytes);
  return result;
}

void Warp::growLocal(uint32_t bytes) {
  if (bytes > block.machine.stackBytes)
    throw Fault(FindingKind::StackOverflow, "a thread needs more than " +
                                                std::to_string(block.machine.stackBytes) +
                                                " bytes of local memory");
  size_t words = size_t{(bytes + 3) / 4} * kWarpSize;
  if (words > local.size()) {
    local.resize(words, 0xdbdbdbdb);
    localWritten.resize(words, 0);
  }
}

Warp::Outcome Warp::run(uint32_t budget) {
  for (Path &path : paths)
    if (path.state == Path::State::Polling)
      path.state = Path::State::Ready;
  if (!hasCurrent && !selectReady())
    return live() ? Outcome::Stalled : Outcome::Finished;
  remaining = budget;
  uint64_t before = executed;
  while (remaining > 0) {
    --remaining;
    if (pc == reconvergence) {
      reachReconvergence();
      if (!hasCurrent && !selectReady())
        break;
      continue;
    }
    const Instruction &instruction = code[pc];
    LaneMask lanes = active & (predicates[instruction.guard] ^ instruction.guardFlip);
    ++executed;
    if (profile) [[unlikely]]
      count(lanes);
    if (!lanes) {
      ++pc;
      continue;
    }
    Step step = instruction.execute(*this, instruction, lanes);
    if (step == Step::Next) {
      ++pc;
      continue;
    }
    if (step == Step::Wait) {
      --executed;
      if (profile)
        uncount(lanes);
      save();
      paths[currentPath].state = Path::State::Polling;
      dropCurrent();
    }
    if (!hasCurrent && !selectReady())
      break;
  }
  bool isBlocked = !hasCurrent;
  if (hasCurrent)
    save();
  if (hasCurrent && paths.size() > 1) { // the other paths get their turn
    std::rotate(paths.begin(), paths.begin() + 1, paths.end());
    dropCurrent();
  }
  if (!live())
    return Outcome::Finished;
  if (executed == before)
    return Outcome::Stalled;
  return isBlocked ? Outcome::Blocked : Outcome::Ran;
}

void Warp::count(LaneMask lanes) {
  ++profile[pc].issues;
  profile[pc].lanes += static_cast<uint64_t>(std::popcount(lanes));
}

/// It was not executed, but has to wait.
void Warp::uncount(LaneMask lanes) {
  --profile[pc].issues;
  profile[pc].lanes -= static_cast<uint64_t>(std::popcount(lanes));
}

InstructionCounts *Warp::counts() const { return profile ? profile + pc : nullptr; }

Site Warp::site(int lane) const {
  Site site;
  site.kernel = block.launch.program->kernel->name;
  if (const Instruction *instruction = current(); instruction && instruction->source) {
    site.line = instruction->source->line;
    site.instruction = instruction->source->text();
  }
  site.block = {block.index.x, block.index.y, block.index.z};
  site.warp = static_cast<int>(index);
  site.lane = lane;
  return site;
}

void Warp::select(size_t number) {
  const Path &path = paths[number];
  currentPath = number;
  hasCurrent = true;
  frame = path.frame;
  code = frame->function->executed();
  pc = path.pc;
  active = path.lanes;
  registers = frame->registers.data();
  constants = frame->function->constants.get();
  predicates = frame->predicates.data();
  profile = block.profile ? block.profile->of(*frame->function) : nullptr;
  bool meets = path.join >= 0 && !joins[path.join].call && joins[path.join].frame == frame;
  reconvergence = meets ? joins[path.join].pc : Function::kNever;
}

/// The newest path first: the lanes that joined last go on together.
bool Warp::selectReady() {
  for (size_t number = paths.size(); number-- > 0;)
    if (paths[number].state == Path::State::Ready) {
      select(number);
      return true;
    }
  return false;
}

void Warp::save() {
  paths[currentPath].pc = pc;
  paths[currentPath].lanes = active;
}

void Warp::dropCurrent() {
  hasCurrent = false;
  active = 0;
}

int Warp::newJoin(Join join) {
  join.isUsed = true;
  for (size_t number = 0; number < joins.size(); ++number)
    if (!joins[number].isUsed) {
      joins[number] = std::move(join);
      return static_cast<int>(number);
    }
  joins.push_back(std::move(join));
  return static_cast<int>(joins.size()) - 1;
}

void Warp::arrive(int join, LaneMask lanes) {
  joins[join].arrived |= lanes;
  completeIfAll(join);
}

void Warp::completeIfAll(int number) {
  Join &join = joins[number];
  if (join.arrived != join.expected)
    return;
  if (join.expected) {
    Path path;
    path.pc = join.pc;
    path.lanes = join.expected;
    path.join = join.parent;
    path.frame = join.frame;
    paths.push_back(path);
  }
  join.calleeFrame.reset();
  join.isUsed = false;
}

void Warp::reachReconvergence() {
  int join = paths[currentPath].join;
  LaneMask lanes = active;
  paths.erase(paths.begin() + static_cast<ptrdiff_t>(currentPath));
  dropCurrent();
  arrive(join, lanes);
}

void Warp::branch(LaneMask taken, uint32_t target, uint32_t meeting) {
  if (taken == active) {
    pc = target;
    return;
  }
  if (profile)
    ++profile[pc].divergent;
  int join = paths[currentPath].join;
  if (meeting != Function::kNever && meeting != reconvergence) {
    Join created;
    created.pc = meeting;
    created.expected = active;
    created.parent = join;
    created.frame = frame;
    join = newJoin(std::move(created));
  }
  if (target == meeting) {
    joins[join].arrived |= taken;
  } else {
    Path other;
    other.pc = target;
    other.lanes = taken;
    other.join = join;
    other.frame = frame;
    paths.push_back(other);
  }
  active &= ~taken;
  ++pc;
  save();
  paths[currentPath].join = join;
  reconvergence = meeting;
}

void Warp::branchApart(LaneMask taken, uint32_t target, uint32_t meeting) {
  uint32_t again = pc;
  branch(taken, target, meeting);
  if (active != taken || pc != target)
    pc = again;
}

void Warp::call(const Instruction &instruction, const Function &callee, LaneMask lanes) {
  if (lanes != active) {
    // The others stay at the call, to find another callee or to pass by.
    Path others = paths[currentPath];
    others.pc = pc;
    others.lanes = active & ~lanes;
    if (reconvergence != pc + 1) {
      Join meeting;
      meeting.pc = pc + 1;
      meeting.expected = active;
      meeting.parent = others.join;
      meeting.frame = frame;
      others.join = newJoin(std::move(meeting));
    }
    paths[currentPath].join = others.join;
    paths.push_back(others);
    active = lanes;
  }
  std::unique_ptr<Frame> created =
      newFrame(callee, frame->localBase + (frame->function->localBytes + 15) / 16 * 16);
  const Operand *actual = instruction.list + callee.results.size();
  for (size_t number = 0; number < callee.parameters.size(); ++number)
    copySlots(callee.parameters[number], created->registers.data(), actual[number], registers,
              lanes);
  Join back;
  back.pc = pc + 1;
  back.expected = lanes;
  back.parent = paths[currentPath].join;
  back.frame = frame;
  back.call = &instruction;
  back.calleeFrame = std::move(created);
  Path &path = paths[currentPath];
  path.frame = back.calleeFrame.get();
  path.join = newJoin(std::move(back));
  path.pc = 0;
  path.lanes = lanes;
  select(currentPath);
}

void Warp::copySlots(const ParameterSlot &to, uint32_t *toRegisters, Operand from,
                     const uint32_t *fromRegisters, LaneMask lanes) {
  const uint32_t *source = from.word < 0 ? constants + ~from.word : fromRegisters + from.word;
  uint32_t *destination = toRegisters + to.word;
  uint32_t wordsPerLane = to.isRegister && to.bytes == 8 ? 2 : 1;
  uint32_t words = (to.bytes + 3) / 4 * kWarpSize;
  for (uint32_t word = 0; word < words; ++word)
    if (lanes >> (word / wordsPerLane % kWarpSize) & 1)
      destination[word] = source[word];
}

void Warp::returnFromCall(LaneMask lanes) {
  std::vector<int> inner;
  int join = paths[currentPath].join;
  while (join >= 0 && !(joins[join].call && joins[join].calleeFrame.get() == frame)) {
    inner.push_back(join);
    join = joins[join].parent;
  }
  if (join < 0)
    return exit(lanes);
  const std::vector<ParameterSlot> &results = frame->function->results;
  Join &back = joins[join];
  uint32_t *callerRegisters = back.frame->registers.data();
  for (size_t number = 0; number < results.size(); ++number) {
    Operand to = back.call->list[number];
    ParameterSlot destination{to.word, results[number].bytes, results[number].isRegister};
    copySlots(destination, callerRegisters, {results[number].word}, registers, lanes);
  }
  leavePath(lanes, inner);
  arrive(join, lanes);
}

void Warp::leavePath(LaneMask lanes, const std::vector<int> &passed) {
  active &= ~lanes;
  ++pc;
  save();
  if (!active) {
    paths.erase(paths.begin() + static_cast<ptrdiff_t>(currentPath));
    dropCurrent();
  }
  for (int number : passed) {
    joins[number].expected &= ~lanes;
    completeIfAll(number);
  }
}

void Warp::exit(LaneMask lanes) {
  exited |= lanes;
  std::vector<int> chain;
  for (int join = paths[currentPath].join; join >= 0; join = joins[join].parent)
    chain.push_back(join);
  leavePath(lanes, chain);
  wakeLaneWaiters();
}

void Warp::wakeLaneWaiters() {
  for (Path &path : paths)
    if (path.state == Path::State::Lanes)
      path.state = Path::State::Ready;
}

LaneMask Warp::gather(LaneMask lanes, LaneMask members) {
  LaneMask needed = members & live();
  if (!(needed & ~lanes))
    return lanes;
  LaneMask together = lanes;
  auto meets = [&](const Path &path) {
    return path.state == Path::State::Lanes && path.pc == pc && path.frame == frame;
  };
  for (const Path &path : paths)
    if (meets(path))
      together |= path.reduction;
  if (needed & ~together) {
    save();
    paths[currentPath].state = Path::State::Lanes;
    paths[currentPath].reduction = lanes;
    dropCurrent();
    return 0;
  }
  for (Path &path : paths)
    if (meets(path)) {
      path.state = Path::State::Ready;
      ++path.pc;
    }
  return together;
}

void Warp::waitAtBarrier(int barrier, LaneMask reduction) {
  save();
  Path &path = paths[currentPath];
  path.state = Path::State::Barrier;
  path.barrier = barrier;
  path.reduction = reduction;
  dropCurrent();
}

void Warp::releaseBarrier(int barrier, uint32_t popcount, bool all, bool any) {
  for (Path &path : paths) {
    if (path.state != Path::State::Barrier || path.barrier != barrier)
      continue;
    const Instruction &instruction = path.frame->function->code[path.pc];
    if (instruction.listCount) { // bar.red: where its result goes
      Operand to = instruction.list[0];
      LaneMask value = instruction.immediate == 1 ? -LaneMask{all} : -LaneMask{any};
      if (instruction.immediate == 0) {
        uint32_t *result = path.frame->registers.data() + to.word;
        for (int lane = 0; lane < kWarpSize; ++lane)
          if (path.lanes >> lane & 1)
            result[lane] = popcount;
      } else {
        LaneMask &predicate = path.frame->predicates[to.word >> 1];
        predicate = (predicate & ~path.lanes) | (value & path.lanes);
      }
    }
    ++path.pc;
    path.state = Path::State::Ready;
  }
}

bool Warp::isWaitingAt(int barrier) const {
  return std::any_of(paths.begin(), paths.end(), [&](const Path &path) {
    return path.state == Path::State::Barrier && path.barrier == barrier;
  });
}

} // namespace vgpu
