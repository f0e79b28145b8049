#include "exec/WarpgroupEngine.h"

#include "exec/Block.h"

#include <algorithm>

namespace vgpu {

using namespace tensor;

namespace {

/// Steps along k, as Arithmetic counts them: b1 goes by words.
int stepsOf(const Form &form) { return form.a == Format::B1 ? form.k / 32 : form.k; }
int stepsOfUnit(Format format) { return format == Format::B1 ? 4 : 128 / bitsOf(format); }

size_t indexOf(int32_t word) { return static_cast<size_t>(word) / kWarpSize; }

} // namespace

WarpgroupEngine::WarpgroupEngine(Block &block, Flights &flights)
    : block(block), flights(flights), warps(block.launch.warpsPerBlock()) {}

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
  return tiles[{warp.index / kWarps, sequence}];
}

void WarpgroupEngine::checkFenced(Warp &warp, WarpState &state, const Operation &operation) {
  if (!state.hasFenced)
    flights.report(warp, -1, FindingKind::Asynchronous,
                   "the first wgmma of the warp has no wgmma.fence before it", 0);
  state.hasFenced = true; // once is enough
  auto check = [&](const std::vector<int32_t> &words, std::string_view what) {
    for (int32_t word : words)
      if (word >= 0 && state.isUnfenced[indexOf(word)] && !state.flightGroup[indexOf(word)]) {
        flights.report(
            warp, -1, FindingKind::Asynchronous,
            "wgmma uses " + std::string(what) + " that were written after the last wgmma.fence", 0);
        return;
      }
  };
  if (operation.accumulates)
    check(operation.accumulatorWords, "accumulators");
  check(operation.wordsOfA, "registers of A");
}

void WarpgroupEngine::issue(Warp &warp, const Instruction &instruction, const Plan &plan,
                            uint64_t descriptorA, uint64_t descriptorB, bool accumulates) {
  if (warp.index / kWarps * kWarps + kWarps > warps.size())
    throw Fault(FindingKind::InvalidInstruction, "wgmma needs four warps, but the last " +
                                                     std::to_string(warps.size() % kWarps) +
                                                     " warps of the block are too few");
  WarpState &state = stateOf(warp);
  Operation operation;
  operation.sequence = state.issued++;
  operation.group = state.openGroup;
  operation.accumulates = accumulates;
  auto ofD = static_cast<uint32_t>(plan.form.registersOf(plan.form.d));
  for (uint32_t number = 0; number < instruction.listCount; ++number) {
    Operand place = instruction.list[number];
    if (number < ofD) {
      operation.accumulators.push_back(warp.lanes<uint32_t>(place));
      operation.accumulatorWords.push_back(place.word);
    } else {
      operation.a.push_back(warp.lanes<uint32_t>(place));
      operation.wordsOfA.push_back(place.word);
    }
  }
  checkFenced(warp, state, operation);
  for (int32_t word : operation.wordsOfA)
    if (word >= 0) {
      state.flightGroup[indexOf(word)] = operation.group + 1;
      state.isOperandOfA[indexOf(word)] = true;
    }
  for (int32_t word : operation.accumulatorWords) {
    state.flightGroup[indexOf(word)] = operation.group + 1;
    state.isOperandOfA[indexOf(word)] = false;
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
  state.operations.push_back(std::move(operation));
}

std::vector<SharedRange> WarpgroupEngine::footprint(const Tile &tile) const {
  std::vector<SharedRange> ranges;
  auto add = [&](uint32_t address) {
    if (!block.inShared(address, 16))
      throw Fault(FindingKind::OutOfBounds,
                  "a matrix descriptor leads outside of the block's shared memory, which ends at " +
                      std::to_string(block.sharedEnd),
                  -1, address);
    if (!ranges.empty() && ranges.back().end == address)
      ranges.back().end += 16;
    else
      ranges.push_back({address, address + 16});
  };
  auto matrix = [&](uint64_t bits, bool isAcross, int rows, int k) {
    MatrixDescriptor descriptor = MatrixDescriptor::decode(bits);
    if (isAcross)
      for (int unit = 0; unit < rows / 8; ++unit)
        for (int row = 0; row < k; ++row)
          add(descriptor.acrossK(row, unit));
    else
      for (int row = 0; row < rows; ++row)
        for (int unit = 0; unit < 2; ++unit)
          add(descriptor.alongK(row, unit));
  };
  const Plan &plan = *tile.plan;
  if (plan.source == Source::SharedMemory)
    matrix(tile.descriptorA, plan.isAAcross, 64, plan.form.k);
  matrix(tile.descriptorB, plan.isBAcross, plan.form.n, plan.form.k);
  // A row may be part of both matrices, or twice of one.
  std::sort(ranges.begin(), ranges.end(),
            [](SharedRange a, SharedRange b) { return a.begin < b.begin; });
  std::vector<SharedRange> merged;
  for (SharedRange range : ranges) {
    if (!merged.empty() && range.begin <= merged.back().end)
      merged.back().end = std::max(merged.back().end, range.end);
    else
      merged.push_back(range);
  }
  return merged;
}

void WarpgroupEngine::beginTile(Warp &warp, Tile &tile) {
  for (uint64_t bits : {tile.descriptorA, tile.descriptorB})
    if (std::string why = whyInvalidDescriptor(bits); !why.empty())
      throw Fault(FindingKind::InvalidInstruction, why);
  std::vector<SharedRange> ranges = footprint(tile);
  for (SharedRange range : ranges)
    flights.checkProxy(warp, 0, range, "wgmma reads");
  tile.flight = flights.begin(warp, 0, Flights::Direction::Reads, std::move(ranges));
}

void WarpgroupEngine::captureMatrix(const Plan &plan, MatrixDescriptor descriptor, Format format,
                                    bool isAcross, int firstRow, int rows,
                                    std::vector<uint32_t> &out) {
  const Arithmetic &compute = arithmetic();
  out.resize(static_cast<size_t>(stepsOf(plan.form)) * rows);
  alignas(64) uint32_t words[kWarpSize];
  auto readRow = [&](int row, uint32_t address) {
    std::memcpy(words + 4 * row, block.shared(address), 16);
  };
  for (int first = 0; first < rows; first += 8)
    for (int half = 0; half < 2; ++half) {
      for (int row = 0; row < 8; ++row)
        readRow(row, isAcross ? descriptor.acrossK(8 * half + row, (firstRow + first) / 8)
                              : descriptor.alongK(firstRow + first + row, half));
      if (isAcross)
        compute.spreadAcross(format, words, plan.order, 8 * half, out.data() + first, rows);
      else
        compute.spread(format, words, plan.order, half * stepsOfUnit(format), out.data() + first,
                       rows);
    }
}

/// Reads both matrices: the operation is over, as far as shared memory goes.
void WarpgroupEngine::capture(Tile &tile) {
  const Plan &plan = *tile.plan;
  if (plan.source == Source::SharedMemory)
    for (uint32_t warp = 0; warp < kWarps; ++warp)
      captureMatrix(plan, MatrixDescriptor::decode(tile.descriptorA), plan.form.a, plan.isAAcross,
                    static_cast<int>(16 * warp), 16, tile.a[warp]);
  captureMatrix(plan, MatrixDescriptor::decode(tile.descriptorB), plan.form.b, plan.isBAcross, 0,
                plan.form.n, tile.b);
  tile.isCaptured = true;
}

void WarpgroupEngine::execute(Warp &warp, Operation &operation) {
  Tile &tile = tileOf(warp, operation.sequence);
  if (!tile.isCaptured)
    capture(tile);
  const Plan &plan = *tile.plan;
  const Arithmetic &compute = arithmetic();
  std::vector<uint32_t> &a = tile.a[warp.index % kWarps];
  if (plan.source != Source::SharedMemory) {
    a.resize(static_cast<size_t>(stepsOf(plan.form)) * 16);
    for (int r = 0; r < 4; ++r)
      compute.spread(plan.form.a, operation.a[r], plan.order, r / 2 * stepsOfUnit(plan.form.a),
                     a.data() + 8 * (r % 2), 16);
  }
  if (plan.negates)
    for (uint32_t &word : a)
      word ^= 0x80000000;
  compute.warpgroupRows(plan.form, plan.order, operation.accumulates, a.data(), tile.b.data(),
                        operation.accumulators.data());
  operation.isDone = true;
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
  for (size_t number = 0; number < count; ++number)
    if (!state.operations[number].isDone)
      execute(warp, state.operations[number]);
  return true;
}

void WarpgroupEngine::commit(Warp &warp) { ++stateOf(warp).openGroup; }

bool WarpgroupEngine::wait(Warp &warp, uint32_t allowed) {
  WarpState &state = stateOf(warp);
  auto isOver = [&](const Operation &operation) {
    return uint64_t{operation.group} + allowed < state.openGroup;
  };
  if (!executeThrough(warp, state, isOver))
    return false;
  while (!state.operations.empty() && isOver(state.operations.front())) {
    uint64_t sequence = state.operations.front().sequence;
    Tile &tile = tileOf(warp, sequence);
    if (tile.remaining-- == kWarps) // the group is one unit: it is done for all of it
      flights.end(tile.flight);
    if (!tile.remaining)
      tiles.erase({warp.index / kWarps, sequence});
    state.operations.pop_front();
  }
  for (uint32_t &group : state.flightGroup)
    if (group && uint64_t{group} - 1 + allowed < state.openGroup)
      group = 0;
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
    return std::find(operation.accumulatorWords.begin(), operation.accumulatorWords.end(), from) !=
           operation.accumulatorWords.end();
  };
  if (state.flightGroup[indexOf(from)] && !executeThrough(warp, state, writesIt))
    return false;
  for (int32_t to : use.writes) {
    state.flightGroup[indexOf(to)] = state.flightGroup[indexOf(from)];
    state.isOperandOfA[indexOf(to)] = state.isOperandOfA[indexOf(from)];
    state.isUnfenced[indexOf(to)] = state.isUnfenced[indexOf(from)];
  }
  return true;
}

bool WarpgroupEngine::before(Warp &warp, const Instruction &instruction, const RegisterUse &use) {
  if (use.kind == RegisterUse::Kind::Wgmma)
    return true;
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
      const Tile &tile = tiles.at({static_cast<uint32_t>(number) / kWarps, left.sequence});
      Finding finding;
      finding.kind = FindingKind::Asynchronous;
      finding.message = "the warp ends without waiting for its wgmma";
      finding.site.kernel = block.launch.program->kernel->name;
      finding.site.line = tile.instruction->source->line;
      finding.site.instruction = tile.instruction->source->text();
      finding.site.warp = static_cast<int>(number);
      block.machine.findings.add(std::move(finding));
    }
}

} // namespace vgpu
