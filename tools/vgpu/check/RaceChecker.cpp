#include "check/RaceChecker.h"

#include "check/BlockRaces.h"
#include "check/Finding.h"
#include "exec/Block.h"

#include <bit>

namespace vgpu {
namespace {

/// The smallest access to shared memory, so that no two accesses touch
/// different parts of a granule.
uint32_t granuleOf(const Program &program) {
  uint32_t least = 4;
  for (const auto &function : program.functions)
    for (const Instruction &instruction : function->code) {
      const MemoryForm &form = instruction.memory;
      bool mayBeShared = form.space == ptx::Space::Shared || form.space == ptx::Space::Generic;
      if (mayBeShared && form.elementBytes)
        least = std::min<uint32_t>(least, form.elementBytes);
    }
  return least;
}

/// For st: whether every lane that writes the conflict's bytes writes what is
/// there already, or, in one instruction, the same as the other lane.
bool storesEqualValue(const MemoryAccess &access, const Conflict &conflict, Agent self) {
  const Instruction &instruction = access.instruction;
  if (access.kind != AccessKind::Store || instruction.source->opcode != "st")
    return false;
  uint64_t address = access.addresses[conflict.lane];
  const uint8_t *memory = access.space == ptx::Space::Shared
                              ? access.warp.block.shared(static_cast<uint32_t>(address))
                              : reinterpret_cast<const uint8_t *>(address);
  uint32_t size = instruction.memory.elementBytes;
  bool isSameInstruction = conflict.otherAgent == self &&
                           conflict.otherLine == static_cast<uint32_t>(instruction.source->line) &&
                           conflict.otherWarp == access.warp.index;
  int other = std::countr_zero(conflict.otherLanes);
  isSameInstruction =
      isSameInstruction && (access.lanes >> other & 1) && access.addresses[other] == address;
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    auto valueOf = [&](int lane) -> uint64_t {
      Operand from = instruction.list[element];
      return size == 8 ? access.warp.lanes<uint64_t>(from)[lane]
                       : access.warp.lanes<uint32_t>(from)[lane];
    };
    uint64_t value = valueOf(conflict.lane), there = 0;
    if (isSameInstruction)
      there = valueOf(other);
    else
      std::memcpy(&there, memory + element * size, size);
    uint64_t mask = size == 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * size) - 1;
    if ((value ^ there) & mask)
      return false;
  }
  return true;
}

} // namespace

struct RaceChecker::BlockState : Observation {
  BlockState(const Block &block, Agent agent, Epochs &epochs, const Run &run)
      : clocks(agent, epochs, run.start, existing(block)) {}

  static std::vector<LaneMask> existing(const Block &block) {
    std::vector<LaneMask> lanes;
    lanes.reserve(block.warps.size());
    for (const auto &warp : block.warps)
      lanes.push_back(warp->existing);
    return lanes;
  }

  BlockClocks clocks;
  std::unique_ptr<SharedRaces> shared; ///< if it has shared memory
  std::optional<BlockRaces> races;     ///< what of this usual accesses need
  AsyncRaces async;
  std::unordered_map<uint64_t, Location> locations; ///< of shared memory
  /// Who initialised an mbarrier, and what those that arrived at it knew.
  struct Mbarrier {
    Time initTime = 0;
    uint32_t initWarp = 0, initLine = 0;
    int initLane = 0;
    ClockRef arrived;
  };
  std::unordered_map<uint32_t, Mbarrier> mbarriers;
};

class RaceChecker::Reporter final : public Conflicts {
public:
  Reporter(RaceChecker &checker, const MemoryAccess &access) : checker(checker), access(access) {}

  void report(const Conflict &conflict) override { checker.report(access, conflict); }
  bool isOrdered(Agent other) const override {
    uint64_t run = checker.agents[other].run;
    if (run == access.warp.block.runNumber)
      return false;
    auto before = checker.runs.find(run);
    return before == checker.runs.end() ||
           checker.runs.at(access.warp.block.runNumber).order.isAfter(before->second.order);
  }

private:
  RaceChecker &checker;
  const MemoryAccess &access;
};

RaceChecker::BlockState &RaceChecker::stateOf(const Block &block) {
  return static_cast<BlockState &>(*block.observations[kRaceChecker]);
}

/// A shadow of the block's shared memory. Those of blocks that have ended are
/// used again, since cleaning them takes time: all of their stamps are older
/// than those that the block will leave.
std::unique_ptr<SharedRaces> RaceChecker::newShadow(const Block &block, uint32_t granuleBytes) {
  uint32_t bytes = block.sharedEnd - kSharedBase;
  auto warps = static_cast<uint32_t>(block.warps.size());
  auto fitting = std::find_if(idleShadows.begin(), idleShadows.end(), [&](const auto &shadow) {
    return shadow->fits(bytes, granuleBytes, warps);
  });
  if (fitting == idleShadows.end())
    return std::make_unique<SharedRaces>(bytes, granuleBytes, warps);
  std::swap(*fitting, idleShadows.back());
  std::unique_ptr<SharedRaces> shadow = std::move(idleShadows.back());
  idleShadows.pop_back();
  shadow->reuse(epochs.now());
  return shadow;
}

void RaceChecker::blockEnds(Block &block) {
  constexpr size_t kMostIdle = 16;
  if (BlockState &state = stateOf(block); state.shared && idleShadows.size() < kMostIdle)
    idleShadows.push_back(std::move(state.shared));
}

void RaceChecker::launchBegins(const Launch &launch, const TaskOrder &order, uint64_t number) {
  std::erase_if(runs, [&](const auto &entry) {
    return !entry.second.isRunning && order.isSettled(entry.second.order);
  });
  bool isAlone = std::none_of(runs.begin(), runs.end(),
                              [](const auto &entry) { return entry.second.isRunning; });
  if ((runs.empty() && epochs.now() > kManyTimes) || (isAlone && epochs.now() > kMostTimes))
    forget();
  Run run;
  run.kernel = launch.program->kernel->name;
  run.order = order;
  run.begin = run.start = epochs.now();
  epochs.tick();
  run.grid = launch.grid;
  run.granuleBytes = granuleOf(*launch.program);
  for (auto &[other, before] : runs)
    if (!order.isAfter(before.order))
      run.start = std::min(run.start, before.begin);
  runs.emplace(number, std::move(run));
  Time oldest = epochs.now();
  for (const auto &[other, known] : runs)
    oldest = std::min(oldest, known.start);
  global.forget(oldest);
}

void RaceChecker::launchEnds(const Launch &, uint64_t number) {
  runs.at(number).isRunning = false;
  epochs.tick();
}

void RaceChecker::forget() {
  global.clear();
  locations.clear();
  runs.clear();
  agents.clear();
  idleShadows.clear();
  epochs.restart();
}

void RaceChecker::blockBegins(Block &block) {
  auto agent = static_cast<Agent>(agents.size());
  agents.push_back({block.runNumber, block.linearIndex});
  const Run &run = runs.at(block.runNumber);
  std::unique_ptr<SharedRaces> shadow;
  if (block.sharedEnd > kSharedBase)
    shadow = newShadow(block, run.granuleBytes);
  auto state = std::make_unique<BlockState>(block, agent, epochs, run);
  state->shared = std::move(shadow);
  SharedRaces *shared = block.launch.program->traits.usesAsyncProxy ? nullptr : state->shared.get();
  state->races.emplace(BlockRaces{global, shared, state->clocks});
  if (block.machine.observer == this)
    block.races = &*state->races;
  block.observations[kRaceChecker] = std::move(state);
}

std::unordered_map<uint64_t, RaceChecker::Location> &
RaceChecker::locationsOf(const MemoryAccess &access, BlockState &state) {
  return access.space == ptx::Space::Shared ? state.locations : locations;
}

/// Strong loads and atomics take what others published where they look.
void RaceChecker::observeLocations(const MemoryAccess &access, BlockState &state) {
  std::unordered_map<uint64_t, Location> &known = locationsOf(access, state);
  if (known.empty())
    return;
  bool acquires = access.order == Order::Acquire || access.order == Order::AcquireRelease;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    auto location = known.find(access.addresses[lane]);
    if (location == known.end())
      continue;
    for (const Publication &publication : location->second)
      if (publication.agent == state.clocks.agent ||
          std::min(publication.scope, access.scope) >= Scope::Device)
        state.clocks.observe(access.warp.index, lane, access.warp.live(), *publication.clock,
                             acquires);
  }
}

/// What any block may see needs no more than one clock.
void RaceChecker::add(Location &location, Publication publication) {
  if (publication.scope >= Scope::Device)
    for (Publication &known : location)
      if (known.scope >= Scope::Device)
        return writable(known.clock).join(*publication.clock);
  location.push_back(std::move(publication));
}

/// Strong stores publish; atomics also pass on what was published before.
void RaceChecker::publish(const MemoryAccess &access, BlockState &state) {
  std::unordered_map<uint64_t, Location> &known = locationsOf(access, state);
  bool releases = access.order == Order::Release || access.order == Order::AcquireRelease;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    Scope scope = access.scope;
    ClockRef clock = state.clocks.published(access.warp.index, lane, releases, scope);
    uint64_t address = access.addresses[lane];
    if (access.kind == AccessKind::Store)
      known.erase(address);
    if (clock)
      add(known[address], {std::move(clock), scope, state.clocks.agent});
  }
}

void RaceChecker::access(const MemoryAccess &access) {
  bool isShared = access.space == ptx::Space::Shared;
  if (!isShared && access.space != ptx::Space::Global)
    return;
  const Block &block = access.warp.block;
  BlockState &state = stateOf(block);
  bool isWeak = strengthOf(access) == Strength::Weak;
  if (!isWeak && access.kind != AccessKind::Store)
    observeLocations(access, state);
  Reporter reporter(*this, access);
  auto line = static_cast<uint32_t>(access.instruction.source->line);
  if (isShared) {
    state.shared->access(access, access.warp.index, line, state.clocks, reporter);
    if (!state.async.isEmpty())
      checkAsync(access, state);
  }
  if (!isShared)
    global.access(access, {state.clocks, access.warp.index, line, &reporter});
  if (!isWeak && access.kind != AccessKind::Load)
    publish(access, state);
}

void RaceChecker::warpSync(Warp &warp, LaneMask lanes) {
  stateOf(warp.block).clocks.warpSync(warp.index, lanes);
}

void RaceChecker::barrierArrive(Warp &warp, int id, bool waits) {
  stateOf(warp.block).clocks.barrierArrive(warp.index, warp.live(), id, waits);
}

void RaceChecker::barrierComplete(Block &block, int id) {
  stateOf(block).clocks.barrierComplete(id);
}

void RaceChecker::fence(Warp &warp, LaneMask lanes, Order, Scope scope) {
  stateOf(warp.block).clocks.fence(warp.index, lanes, warp.live(), scope);
}

void RaceChecker::mbarrierInit(Warp &warp, int lane, uint32_t address) {
  BlockState &state = stateOf(warp.block);
  state.mbarriers[address] = {state.clocks.epoch(warp.index), warp.index,
                              static_cast<uint32_t>(warp.current()->source->line), lane, nullptr};
}

/// Reports lanes that use an mbarrier though nothing orders them after its
/// initialisation.
void RaceChecker::checkInitialized(Warp &warp, LaneMask lanes, uint32_t address, AccessKind kind) {
  BlockState &state = stateOf(warp.block);
  const BlockState::Mbarrier &barrier = state.mbarriers[address];
  if (barrier.initTime <= state.clocks.floor(warp.index)) [[likely]]
    return;
  LaneMask by = LaneMask{1} << barrier.initLane;
  for (; lanes; lanes &= lanes - 1) {
    int lane = std::countr_zero(lanes);
    bool isSelf = barrier.initWarp == warp.index && barrier.initLane == lane;
    if (isSelf || state.clocks.of(warp.index, lane)
                      .knows(state.clocks.agent, barrier.initWarp, by, barrier.initTime))
      continue;
    return reportAt(warp, lane, kind, Order::Relaxed, address,
                    {lane, address, true, Strength::Weak, state.clocks.agent, barrier.initWarp, by,
                     barrier.initLine});
  }
}

void RaceChecker::mbarrierArrive(Warp &warp, LaneMask lanes, uint32_t address) {
  checkInitialized(warp, lanes, address, AccessKind::Atomic);
  BlockState &state = stateOf(warp.block);
  state.clocks.arrive(warp.index, lanes, state.mbarriers[address].arrived);
}

void RaceChecker::mbarrierWait(Warp &warp, LaneMask lanes, uint32_t address) {
  checkInitialized(warp, lanes, address, AccessKind::Load);
  BlockState &state = stateOf(warp.block);
  if (const ClockRef &clock = state.mbarriers[address].arrived)
    state.clocks.acquire(warp.index, lanes, warp.live(), *clock);
}

/// A conflict of one lane with what is not in an access of its own.
void RaceChecker::reportAt(Warp &warp, int lane, AccessKind kind, Order order, uint64_t address,
                           const Conflict &conflict) {
  uint64_t addresses[kWarpSize] = {};
  addresses[lane] = address;
  report({{kind, order, Scope::Block, false, 8, LaneMask{1} << lane, addresses},
          ptx::Space::Shared,
          *warp.current(),
          warp},
         conflict);
}

/// What the lanes of an access do not know of asynchronous operations.
void RaceChecker::checkAsync(const MemoryAccess &access, const BlockState &state) {
  bool isWrite = access.kind != AccessKind::Load;
  uint32_t low = ~0u, high = 0, warp = access.warp.index;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    auto address = static_cast<uint32_t>(access.addresses[std::countr_zero(rest)]);
    low = std::min(low, address), high = std::max(high, address + access.bytes);
  }
  if (!state.async.conflict({low, high}, isWrite, warp, access.lanes, state.clocks))
    return;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    auto address = static_cast<uint32_t>(access.addresses[lane]);
    if (std::optional<Conflict> found = state.async.conflict(
            {address, address + access.bytes}, isWrite, warp, LaneMask{1} << lane, state.clocks))
      return report(access, *found);
  }
}

void RaceChecker::asyncBegins(Warp &warp, int lane, AccessKind kind, uint32_t begin, uint32_t end) {
  BlockState &state = stateOf(warp.block);
  bool isWrite = kind != AccessKind::Load;
  std::optional<Conflict> found =
      state.shared->conflictIn(begin, end, isWrite, warp.index, lane, state.clocks);
  if (!found)
    found =
        state.async.conflict({begin, end}, isWrite, warp.index, LaneMask{1} << lane, state.clocks);
  if (found)
    reportAt(warp, lane, kind, Order::Weak, found->address, *found);
}

void RaceChecker::asyncWritten(Warp &warp, int lane, const Instruction &instruction, uint32_t begin,
                               uint32_t end, uint32_t mbarrier) {
  BlockState &state = stateOf(warp.block);
  Time time = epochs.tick();
  state.async.written(
      {begin, end}, mbarrier, time,
      {warp.index, static_cast<uint32_t>(instruction.source->line), LaneMask{1} << lane});
  ClockRef &arrived = state.mbarriers[mbarrier].arrived;
  if (!arrived)
    arrived = state.clocks.initial();
  writable(arrived).learnAgent(state.async.agentOf(mbarrier), time);
}

void RaceChecker::asyncRead(Warp &warp, LaneMask lanes, const Instruction &instruction,
                            uint32_t begin, uint32_t end, uint32_t unit) {
  BlockState &state = stateOf(warp.block);
  state.async.read({begin, end}, unit, state.clocks.epoch(warp.index),
                   {warp.index, static_cast<uint32_t>(instruction.source->line), lanes});
}

/// As the issuing lane's own access; a reduction is atomic.
void RaceChecker::bulkAccess(Warp &warp, int lane, AccessKind kind, const BulkPieces &pieces) {
  bool isAtomic = kind == AccessKind::Atomic;
  MemoryAccess access{{kind, isAtomic ? Order::Relaxed : Order::Weak,
                       isAtomic ? Scope::Device : Scope::None, false, 0, LaneMask{1} << lane,
                       nullptr},
                      ptx::Space::Global,
                      *warp.current(),
                      warp};
  Reporter reporter(*this, access);
  auto line = static_cast<uint32_t>(access.instruction.source->line);
  GlobalRaces::Context context{stateOf(warp.block).clocks, warp.index, line, &reporter};
  global.accessPieces(access, lane, pieces, context);
}

std::string RaceChecker::describe(const Conflict &conflict) const {
  const AgentInfo &agent = agents[conflict.otherAgent];
  const Run &run = runs.at(agent.run);
  Dim3 block = run.grid.at(agent.block);
  std::string text = conflict.otherWrites ? "the write" : "the read";
  text += " at ptx line " + std::to_string(conflict.otherLine) + " of kernel " + run.kernel +
          ", block (" + std::to_string(block.x) + ", " + std::to_string(block.y) + ", " +
          std::to_string(block.z) + "), warp " + std::to_string(conflict.otherWarp);
  if (std::has_single_bit(conflict.otherLanes))
    text += ", lane " + std::to_string(std::countr_zero(conflict.otherLanes));
  return text;
}

void RaceChecker::report(const MemoryAccess &access, const Conflict &conflict) {
  Run &run = runs.at(access.warp.block.runNumber);
  Finding finding;
  finding.kind = FindingKind::Race;
  bool isLoad = access.kind == AccessKind::Load;
  std::string memory = access.space == ptx::Space::Shared ? "shared" : "global";
  finding.message = std::string(isLoad ? "reads " : "writes ") + memory +
                    " memory while another thread may " +
                    (conflict.otherWrites ? "write" : "read") + " it";
  bool isWarpSynchronous = conflict.otherStrength == Strength::Volatile && access.isVolatile &&
                           access.space == ptx::Space::Shared;
  if (isWarpSynchronous) {
    finding.kind = FindingKind::WarpSynchronous;
    finding.severity = Severity::Warning;
    finding.message = "relies on the lanes of a warp running together: " + finding.message;
  } else if (conflict.otherWrites &&
             storesEqualValue(access, conflict, stateOf(access.warp.block).clocks.agent)) {
    finding.severity = Severity::Note;
    finding.message += ", with the same value";
  }
  if (!run.reported
           .emplace(static_cast<uint32_t>(access.instruction.source->line),
                    static_cast<int>(finding.severity))
           .second)
    return;
  finding.site = access.warp.site(conflict.lane);
  finding.address = conflict.address;
  finding.hasAddress = true;
  finding.other = describe(conflict);
  findings.add(std::move(finding));
}

} // namespace vgpu
