#include "exec/WarpgroupEngine.h"

#include "exec/Block.h"
#include "tensor/Descriptor.h"

#include <algorithm>
#include <cstring>

namespace vgpu {

using namespace tensor;

namespace {

/// Steps along k, as Arithmetic counts them: b1 goes by words.
int stepsOf(const Form &form) { return form.a == Format::B1 ? form.k / 32 : form.k; }
int stepsOfUnit(Format format) { return format == Format::B1 ? 4 : 128 / bitsOf(format); }

/// Of 256 columns.
constexpr uint32_t kMostAccumulators = 128;

size_t indexOf(int32_t word) { return static_cast<size_t>(word) / kWarpSize; }

bool haveSameRegisters(const Instruction &one, const Instruction &other) {
  return one.listCount == other.listCount &&
         std::memcmp(one.list, other.list, one.listCount * sizeof(Operand)) == 0;
}

} // namespace

WarpgroupEngine::WarpgroupEngine(Block &block, Flights &flights)
    : block(block), flights(flights), groups(block.launch.warpsPerBlock() / kWarps + 1),
      warps(block.launch.warpsPerBlock()) {}

WarpgroupEngine::WarpState &WarpgroupEngine::stateOf(const Warp &warp) {
  WarpState &state = warps[warp.index];
  size_t registers = warp.function().registerWords / kWarpSize + 1;
  if (state.flightGroup.size() < registers) {
    state.flightGroup.resize(registers, 0);
    state.isOperandOfA.resize(registers, false);
    state.isUnfenced.resize(registers, true);
  }
  return state;
}

WarpgroupEngine::Tile &WarpgroupEngine::tileOf(const Warp &warp, uint64_t sequence) {
  Group &group = groups[warp.index / kWarps];
  while (group.first + group.tiles.size() <= sequence) {
    if (group.idle.empty())
      group.idle.push_back(std::make_unique<Tile>());
    group.tiles.push_back(std::move(group.idle.back()));
    group.idle.pop_back();
  }
  return *group.tiles[sequence - group.first];
}

void WarpgroupEngine::dropFirst(Group &group) {
  Tile &tile = *group.tiles.front();
  tile.issuedBy = 0;
  tile.remaining = kWarps;
  tile.isCaptured = false;
  group.idle.push_back(std::move(group.tiles.front()));
  group.tiles.pop_front();
  ++group.first;
}

void WarpgroupEngine::checkFenced(Warp &warp, WarpState &state, const Operation &operation) {
  if (!state.hasFenced)
    flights.report(warp, -1, FindingKind::Asynchronous,
                   "the first wgmma of the warp has no wgmma.fence before it", 0);
  state.hasFenced = true; // once is enough
  auto check = [&](uint32_t begin, uint32_t end, std::string_view what) {
    for (uint32_t number = begin; number < end; ++number) {
      int32_t word = operation.instruction->list[number].word;
      if (word < 0 || !state.isUnfenced[indexOf(word)] || state.flightGroup[indexOf(word)])
        continue;
      flights.report(
          warp, -1, FindingKind::Asynchronous,
          "wgmma uses " + std::string(what) + " that were written after the last wgmma.fence", 0);
      return;
    }
  };
  if (operation.accumulates)
    check(0, operation.accumulators(), "accumulators");
  check(operation.accumulators(), operation.instruction->listCount, "registers of A");
}

void WarpgroupEngine::markRegisters(WarpState &state, const Operation &operation) {
  const Instruction &instruction = *operation.instruction;
  for (uint32_t number = instruction.listCount; number-- > 0;) { // accumulators last
    int32_t word = instruction.list[number].word;
    if (word < 0)
      continue;
    state.flightGroup[indexOf(word)] = operation.group + 1;
    state.isOperandOfA[indexOf(word)] = number >= operation.accumulators();
  }
  state.lastMarked = &instruction;
}

void WarpgroupEngine::issue(Warp &warp, const Instruction &instruction, const Plan &plan,
                            uint64_t descriptorA, uint64_t descriptorB, bool accumulates) {
  if (warp.index / kWarps * kWarps + kWarps > warps.size())
    throw Fault(FindingKind::InvalidInstruction, "wgmma needs four warps, but the last " +
                                                     std::to_string(warps.size() % kWarps) +
                                                     " warps of the block are too few");
  WarpState &state = stateOf(warp);
  Operation operation{state.issued++, state.openGroup, &instruction, &plan, accumulates};
  if (!state.lastMarked || !haveSameRegisters(*state.lastMarked, instruction)) {
    checkFenced(warp, state, operation);
    markRegisters(state, operation);
  }
  Tile &tile = tileOf(warp, operation.sequence);
  if (!tile.issuedBy) {
    tile.instruction = &instruction;
    tile.plan = &plan;
    tile.descriptorA = descriptorA;
    tile.descriptorB = descriptorB;
    beginTile(warp, tile);
  } else if (tile.instruction != &instruction || tile.descriptorA != descriptorA ||
             tile.descriptorB != descriptorB) {
    throw Fault(FindingKind::InvalidInstruction,
                "the warps of a warpgroup disagree about their wgmma number " +
                    std::to_string(operation.sequence) + " or its descriptors");
  }
  tile.issuedBy |= 1u << warp.index % kWarps;
  state.operations.push_back(operation);
}

void WarpgroupEngine::beginTile(Warp &warp, Tile &tile) {
  for (uint64_t bits : {tile.descriptorA, tile.descriptorB})
    if (std::string why = whyInvalidDescriptor(bits); !why.empty())
      throw Fault(FindingKind::InvalidInstruction, why);
  tile.footprint = block.machine.footprints.of(*tile.plan, tile.descriptorA, tile.descriptorB);
  const auto &[a, b, ranges, hulls] = *tile.footprint;
  checkInShared(ranges);
  flights.checkProxy(warp, 0, ranges, hulls, Flights::Direction::Reads, "wgmma reads");
  if (Observer *observer = block.machine.observer)
    for (auto [begin, end] : hulls)
      observer->asyncBegins(warp, 0, AccessKind::Load, begin, end);
  tile.flight = flights.beginReads(warp, 0, ranges, hulls);
}

/// `ranges` are ascending.
void WarpgroupEngine::checkInShared(const std::vector<SharedRange> &ranges) const {
  if (block.inShared(ranges.front().begin, ranges.back().end - ranges.front().begin))
    return;
  auto [begin, end] = *std::find_if(ranges.begin(), ranges.end(), [&](SharedRange range) {
    return !block.inShared(range.begin, range.end - range.begin);
  });
  throw Fault(FindingKind::OutOfBounds,
              "a matrix descriptor leads outside of the block's shared memory, which ends at " +
                  std::to_string(block.sharedEnd),
              -1, begin < kSharedBase ? begin : std::max(begin, block.sharedEnd / 16 * 16));
}

/// `units` are the addresses of 16 bytes each, as Footprint has them.
void WarpgroupEngine::captureMatrix(const Plan &plan, Side side, const uint32_t *units, int rows,
                                    int stride, RecycledVector<uint32_t> &out) {
  Format format = side == Side::A ? plan.form.a : plan.form.b;
  bool isAcross = side == Side::A ? plan.isAAcross : plan.isBAcross;
  const Arithmetic &compute = arithmetic();
  out.resize(static_cast<size_t>(stepsOf(plan.form)) * stride);
  constexpr int kMostUnits = 2 * 256, kWordsOfUnit = 4;
  alignas(64) uint32_t words[kMostUnits * kWordsOfUnit]; // the processor needs a while for it
  for (int unit = 0; unit < 2 * rows; ++unit)
    std::memcpy(words + kWordsOfUnit * unit, block.shared(units[unit]), 16);
  const uint32_t *next = words;
  for (int first = 0; first < rows; first += 8)
    for (int half = 0; half < 2; ++half, next += kWarpSize)
      if (isAcross)
        compute.spreadAcross(side, format, next, plan.order, 8 * half, out.data() + first, stride);
      else
        compute.spread(side, format, next, plan.order, half * stepsOfUnit(format),
                       out.data() + first, stride);
}

/// Reads both matrices: the operation is over, as far as shared memory goes.
void WarpgroupEngine::capture(Tile &tile) {
  const Plan &plan = *tile.plan;
  const Footprint &footprint = *tile.footprint;
  if (plan.source == Source::SharedMemory)
    for (uint32_t warp = 0; warp < kWarps; ++warp)
      captureMatrix(plan, Side::A, &footprint.a[warp * kWarpSize], 16, 16, tile.a[warp]);
  captureMatrix(plan, Side::B, footprint.b.data(), plan.form.n, strideOfB(plan.form.n), tile.b);
  tile.isCaptured = true;
}

/// The operands of the warp's rows.
Factors WarpgroupEngine::factorsOf(Warp &warp, const Operation &operation) {
  Tile &tile = tileOf(warp, operation.sequence);
  if (!tile.isCaptured)
    capture(tile);
  const Plan &plan = *tile.plan;
  RecycledVector<uint32_t> &a = tile.a[warp.index % kWarps];
  if (plan.source != Source::SharedMemory) {
    a.resize(static_cast<size_t>(stepsOf(plan.form)) * 16);
    const Operand *registers = operation.instruction->list + operation.accumulators();
    for (int r = 0; r < 4; ++r)
      arithmetic().spread(Side::A, plan.form.a, warp.lanes<uint32_t>(registers[r]), plan.order,
                          r / 2 * stepsOfUnit(plan.form.a), a.data() + 8 * (r % 2), 16);
  }
  if (plan.negates)
    for (uint32_t &word : a)
      word ^= 0x80000000;
  return {a.data(), tile.b.data()};
}

bool WarpgroupEngine::Operation::continues(const Operation &other) const {
  return accumulates && plan == other.plan &&
         std::memcmp(instruction->list, other.instruction->list,
                     accumulators() * sizeof(Operand)) == 0;
}

void WarpgroupEngine::execute(Warp &warp, std::span<Operation> operations) {
  for (Operation &operation : operations)
    operation.isDone = true;
  if (block.machine.skipsTensorArithmetic)
    return;
  while (!operations.empty()) {
    const Operation &first = operations.front();
    std::span<Operation> chain = operations.first(1);
    while (chain.size() < std::min<size_t>(operations.size(), kMostFactors) &&
           operations[chain.size()].continues(first))
      chain = operations.first(chain.size() + 1);
    Factors factors[kMostFactors];
    std::transform(chain.begin(), chain.end(), factors,
                   [&](const Operation &operation) { return factorsOf(warp, operation); });
    uint32_t *accumulators[kMostAccumulators];
    for (uint32_t number = 0; number < first.accumulators(); ++number)
      accumulators[number] = warp.lanes<uint32_t>(first.instruction->list[number]);
    arithmetic().warpgroupRows(first.plan->form, first.plan->order, first.accumulates,
                               {factors, chain.size()}, accumulators);
    operations = operations.subspan(chain.size());
  }
}

template <class Needed>
bool WarpgroupEngine::executeThrough(Warp &warp, WarpState &state, Needed isNeeded) {
  size_t count = 0;
  for (size_t number = 0; number < state.operations.size(); ++number)
    if (isNeeded(state.operations[number]))
      count = number + 1;
  for (size_t number = 0; number < count; ++number)
    if (tileOf(warp, state.operations[number].sequence).issuedBy != (1u << kWarps) - 1)
      return false;
  std::span<Operation> operations(state.operations.data(), count);
  while (!operations.empty() && operations.front().isDone)
    operations = operations.subspan(1);
  execute(warp, operations);
  return true;
}

void WarpgroupEngine::commit(Warp &warp) {
  WarpState &state = stateOf(warp);
  ++state.openGroup;
  state.lastMarked = nullptr;
}

bool WarpgroupEngine::wait(Warp &warp, uint32_t allowed) {
  WarpState &state = stateOf(warp);
  auto isOver = [&](const Operation &operation) {
    return uint64_t{operation.group} + allowed < state.openGroup;
  };
  if (!executeThrough(warp, state, isOver))
    return false;
  size_t done = 0;
  for (; done < state.operations.size() && isOver(state.operations[done]); ++done) {
    Tile &tile = tileOf(warp, state.operations[done].sequence);
    if (tile.remaining-- == kWarps) // the group is one unit: it is done for all of it
      flights.end(tile.flight);
    if (Observer *observer = block.machine.observer)
      for (auto [begin, end] : tile.footprint->hulls)
        observer->asyncRead(warp, kAllLanes, *tile.instruction, begin, end, warp.index / kWarps);
    if (!tile.remaining)
      dropFirst(groups[warp.index / kWarps]);
  }
  state.operations.erase(state.operations.begin(),
                         state.operations.begin() + static_cast<ptrdiff_t>(done));
  uint32_t over = state.openGroup - std::min(state.openGroup, allowed);
  for (uint32_t &group : state.flightGroup)
    group = group <= over ? 0 : group;
  return true;
}

void WarpgroupEngine::fence(Warp &warp) {
  WarpState &state = stateOf(warp);
  state.hasFenced = true;
  std::fill(state.isUnfenced.begin(), state.isUnfenced.end(), false);
}

bool WarpgroupEngine::rename(Warp &warp, WarpState &state, const RegisterUse &use) {
  int32_t from = use.reads.front();
  auto writesIt = [&](const Operation &operation) {
    const Operand *list = operation.instruction->list, *end = list + operation.accumulators();
    return std::any_of(list, end, [&](Operand operand) { return operand.word == from; });
  };
  if (state.flightGroup[indexOf(from)] && !executeThrough(warp, state, writesIt))
    return false;
  state.lastMarked = nullptr;
  for (int32_t to : use.writes) {
    state.flightGroup[indexOf(to)] = state.flightGroup[indexOf(from)];
    state.isOperandOfA[indexOf(to)] = state.isOperandOfA[indexOf(from)];
    state.isUnfenced[indexOf(to)] = state.isUnfenced[indexOf(from)];
  }
  return true;
}

bool WarpgroupEngine::before(Warp &warp, const RegisterUse &use) {
  WarpState &state = stateOf(warp);
  if (use.kind == RegisterUse::Kind::Move && use.reads.size() == 1)
    return rename(warp, state, use);
  if (!state.operations.empty())
    for (const std::vector<int32_t> *words : {&use.reads, &use.writes})
      for (int32_t word : *words)
        if (state.flightGroup[indexOf(word)]) {
          bool isA = state.isOperandOfA[indexOf(word)];
          flights.report(warp, -1, FindingKind::Asynchronous,
                         std::string(words == &use.reads ? "reads" : "writes") +
                             (isA ? " a register of A" : " an accumulator") +
                             " of a wgmma that nobody has waited for",
                         0);
          state.flightGroup[indexOf(word)] = 0; // once is enough
          state.lastMarked = nullptr;
        }
  bool isWriting = use.kind == RegisterUse::Kind::Ordinary;
  for (int32_t word : use.writes)
    state.isUnfenced[indexOf(word)] = isWriting;
  return true;
}

void WarpgroupEngine::finish() {
  for (size_t number = 0; number < warps.size(); ++number)
    if (!warps[number].operations.empty()) {
      const Operation &left = warps[number].operations.front();
      Finding finding;
      finding.kind = FindingKind::Asynchronous;
      finding.message = "the warp ends without waiting for its wgmma";
      finding.site.kernel = block.launch.program->kernel->name;
      finding.site.line = left.instruction->source->line;
      finding.site.instruction = left.instruction->source->text();
      finding.site.warp = static_cast<int>(number);
      block.machine.findings.add(std::move(finding));
    }
}

} // namespace vgpu
