#include "exec/Asynchrony.h"

#include "check/BlockRaces.h"
#include "exec/Block.h"
#include "exec/WarpgroupEngine.h"

#include <algorithm>
#include <bit>

namespace vgpu {

using Direction = Flights::Direction;

namespace {

/// Of reads by single lanes, as observers count them: warpgroups have smaller numbers.
constexpr uint32_t kFirstSingleUnit = 64;

/// Most copies are of 16 bytes, which need no call.
constexpr uint32_t kUnitBytes = 16;
inline void copyUnit(uint8_t *to, const uint8_t *from, uint32_t bytes) {
  typedef uint64_t Unit __attribute__((vector_size(kUnitBytes), aligned(1)));
  if (bytes == sizeof(Unit))
    *reinterpret_cast<Unit *>(to) = *reinterpret_cast<const Unit *>(from);
  else
    std::copy_n(from, bytes, to);
}

/// Calls visit(shared address, offset in the piece, bytes), where the swizzle takes
/// units of 16 bytes apart: it does the same to all of a line of 128 bytes.
template <class Visit>
inline void eachUnit(const BulkCopy &copy, const BulkPiece &piece, Visit visit) {
  constexpr uint32_t kLine = 128;
  if (copy.swizzle == Swizzle::None)
    return visit(piece.shared, 0, piece.bytes);
  for (uint32_t offset = 0; offset < piece.bytes;) {
    uint32_t address = piece.shared + offset;
    uint32_t change = swizzled(copy.swizzle, address) ^ address;
    uint32_t end = std::min(piece.bytes, offset + kLine - address % kLine);
    if (uint32_t before = address % kUnitBytes) {
      uint32_t bytes = std::min(kUnitBytes - before, end - offset);
      visit(address ^ change, offset, bytes);
      offset += bytes;
    }
    for (; offset + kUnitBytes <= end; offset += kUnitBytes)
      visit((piece.shared + offset) ^ change, offset, kUnitBytes);
    if (offset < end)
      visit((piece.shared + offset) ^ change, offset, end - offset);
    offset = end;
  }
}

} // namespace

Asynchrony::Asynchrony(Block &block)
    : flights(block, block.launch.program->traits.usesAsyncProxy),
      warpgroups(std::make_unique<WarpgroupEngine>(block, flights)), block(block),
      copyGroups(block.launch.warpsPerBlock()),
      bulkGroups(block.launch.warpsPerBlock() * kWarpSize) {}

Asynchrony::~Asynchrony() = default;

// --- cp.async

AsyncCopy &Asynchrony::newCopy(const Warp &warp) { return copyGroups[warp.index].issue(); }

void Asynchrony::issue(Warp &warp, AsyncCopy &copy) {
  if (copy.lanes == kAllLanes && copy.bytes == kUnitBytes)
    copy.flight = flights.beginUnits(warp, copy.to);
  if (copy.flight) [[likely]]
    return;
  for (LaneMask rest = copy.lanes; rest; rest &= rest - 1) {
    uint32_t to = copy.to[std::countr_zero(rest)];
    if (!copy.ranges.empty() && copy.ranges.back().end == to)
      copy.ranges.back().end += copy.bytes;
    else
      copy.ranges.push_back({to, to + copy.bytes});
  }
  copy.flight = flights.beginWrites(warp, std::countr_zero(copy.lanes), copy.ranges);
}

/// Whether nothing is to be found in it, and it is remembered: as UsualAccess.h has it
/// for what threads store.
inline bool Asynchrony::isUsualStore(const Warp &warp, const AsyncCopy &copy, LaneMask lanes) {
  const BlockRaces *races = block.races;
  return races && races->shared && lanes == kAllLanes && copy.bytes == kUnitBytes &&
         races->shared->writeRows(copy.to, warp.index,
                                  static_cast<uint32_t>(copy.instruction->source->line),
                                  races->clocks);
}

/// Moves the bytes of some lanes.
void Asynchrony::move(const AsyncCopy &copy, LaneMask lanes) {
  std::array<uint8_t, kWarpSize> whole;
  whole.fill(kUnitBytes);
  if (lanes == kAllLanes && copy.bytes == kUnitBytes && copy.sourceBytes == whole) { // usually
    uint8_t *shared = block.shared(0);
    for (int lane = 0; lane < kWarpSize; ++lane)
      copyUnit(shared + copy.to[lane], reinterpret_cast<const uint8_t *>(copy.from[lane]),
               kUnitBytes);
    return;
  }
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    uint8_t *to = block.shared(copy.to[lane]);
    uint32_t fromMemory = copy.sourceBytes[lane];
    copyUnit(to, reinterpret_cast<const uint8_t *>(copy.from[lane]), fromMemory);
    if (fromMemory < copy.bytes)
      std::memset(to + fromMemory, 0, copy.bytes - fromMemory);
  }
}

void Asynchrony::execute(Warp &warp, AsyncCopy &copy, LaneMask lanes) {
  move(copy, lanes);
  copy.endsInParts |= copy.lanes != 0; // others are still to come
  for (LaneMask rest = copy.endsInParts ? lanes : 0; rest; rest &= rest - 1) {
    uint32_t to = copy.to[std::countr_zero(rest)];
    flights.endPart(copy.flight, {to, to + copy.bytes});
  }
  if (!copy.lanes)
    flights.end(copy.flight);
  // From here on it is as if the threads themselves had stored it.
  if (isUsualStore(warp, copy, lanes))
    return;
  uint64_t addresses[kWarpSize];
  std::copy(copy.to.begin(), copy.to.end(), addresses);
  flights.remember(warp, AccessKind::Store, lanes, addresses, copy.bytes);
  if (Observer *observer = block.machine.observer)
    observer->access(
        {{AccessKind::Store, Order::Weak, Scope::None, false, copy.bytes, lanes, addresses},
         ptx::Space::Shared,
         *copy.instruction,
         warp});
}

void Asynchrony::commitCopies(Warp &warp, LaneMask lanes) { copyGroups[warp.index].commit(lanes); }

void Asynchrony::waitForCopies(Warp &warp, LaneMask lanes, uint32_t allowed) {
  copyGroups[warp.index].wait(lanes, allowed,
                              [&](AsyncCopy &copy, LaneMask now) { execute(warp, copy, now); });
}

void Asynchrony::waitForAllCopies(Warp &warp, LaneMask lanes) {
  copyGroups[warp.index].waitForAll(
      lanes, [&](AsyncCopy &copy, LaneMask now) { execute(warp, copy, now); });
}

void Asynchrony::arriveAfterCopies(Warp &warp, int lane, uint32_t address, bool increments) {
  Mbarrier &state = barrier(lane, address);
  if (increments)
    state.raisePending();
  deferred.push_back({&warp, lane, address});
}

// --- mbarriers

void Asynchrony::initBarrier(Warp &warp, int lane, uint32_t address, uint32_t count) {
  uint64_t at = address;
  if (barriers.erase(address)) {
    flights.report(warp, lane, FindingKind::Asynchronous,
                   "initialises an mbarrier that is live: it needs mbarrier.inval first", address);
  } else {
    flights.check(warp, AccessKind::Store, 1, &at, 8);
    flights.remember(warp, AccessKind::Store, 1, &at, 8);
  }
  uint32_t thread = warp.index * kWarpSize + static_cast<uint32_t>(lane);
  barriers.emplace(address, Barrier{Mbarrier(count), thread, flights.now()});
  flights.markBarrier(address);
  if (Observer *observer = block.machine.observer)
    observer->mbarrierInit(warp, lane, address);
}

void Asynchrony::invalidateBarrier(Warp &, int lane, uint32_t address) {
  barrier(lane, address);
  barriers.erase(address);
  flights.unmarkBarrier(address);
}

Mbarrier &Asynchrony::barrier(int lane, uint32_t address) {
  auto found = barriers.find(address);
  if (found == barriers.end())
    throw Fault(FindingKind::Asynchronous, "there is no initialised mbarrier", lane, address);
  return found->second.state;
}

void Asynchrony::fireDeferred(uint32_t address, Mbarrier &state) {
  auto isHere = [&](const DeferredArrival &arrival) { return arrival.barrier == address; };
  auto waiting = static_cast<uint64_t>(std::count_if(deferred.begin(), deferred.end(), isHere));
  uint32_t missing = state.pendingArrivals();
  if (missing == 0 || waiting < missing)
    return;
  for (auto next = deferred.begin(); missing > 0; --missing) {
    next = std::find_if(next, deferred.end(), isHere);
    DeferredArrival arrival = *next;
    next = deferred.erase(next);
    waitForAllCopies(*arrival.warp, LaneMask{1} << arrival.lane);
    if (Observer *observer = block.machine.observer)
      observer->mbarrierArrive(*arrival.warp, LaneMask{1} << arrival.lane, address);
    state.arrive(1);
  }
}

void Asynchrony::settle(uint32_t address) {
  Mbarrier &state = barriers.at(address).state;
  uint64_t phase = state.phase();
  fireDeferred(address, state);
  for (size_t number = 0; number < bulkCopies.size();) {
    if (state.phase() != phase || state.pendingArrivals() != 0)
      return;
    BulkCopy &next = bulkCopies[number];
    if (!next.writesShared() || next.barrier != address) {
      ++number;
      continue;
    }
    execute(next);
    bulkCopies.erase(bulkCopies.begin() + static_cast<ptrdiff_t>(number));
  }
}

bool Asynchrony::isFirstPoll(const Warp &warp, LaneMask lanes, uint32_t address) const {
  const Barrier &polled = barriers.at(address);
  for (; lanes; lanes &= lanes - 1) {
    uint32_t thread = warp.index * kWarpSize + static_cast<uint32_t>(std::countr_zero(lanes));
    if (polled.polls.empty() || polled.polls[thread] != polled.state.phase() + 1)
      return true;
  }
  return false;
}

void Asynchrony::notePoll(const Warp &warp, LaneMask lanes, uint32_t address, bool isOver) {
  Barrier &polled = barriers.at(address);
  uint64_t phase = polled.state.phase();
  if (isOver && !polled.waiting)
    return;
  polled.polls.resize(bulkGroups.size(), 0);
  for (; lanes; lanes &= lanes - 1) {
    int lane = std::countr_zero(lanes);
    uint32_t thread = warp.index * kWarpSize + static_cast<uint32_t>(lane);
    uint64_t &poll = polled.polls[thread];
    if (poll && phase >= poll + 1)
      flights.report(warp, lane, FindingKind::Asynchronous,
                     "waits for phase " + std::to_string(poll - 1) +
                         " of an mbarrier that has gone on to phase " + std::to_string(phase) +
                         " in the meantime",
                     address);
    polled.waiting += static_cast<uint32_t>(!isOver) - (poll != 0);
    poll = isOver ? 0 : phase + 1;
  }
}

void Asynchrony::fenceBarrierInit(const Warp &warp, LaneMask lanes) {
  for (auto &[address, barrier] : barriers)
    if (barrier.initThread / kWarpSize == warp.index &&
        (lanes >> barrier.initThread % kWarpSize & 1))
      barrier.isVisible = true;
}

// --- Bulk copies

uint32_t &Asynchrony::bulkGroup(const Warp &warp, int lane) {
  return bulkGroups[warp.index * kWarpSize + static_cast<uint32_t>(lane)];
}

void Asynchrony::checkVisible(const BulkCopy &copy) {
  Barrier &used = barriers.at(copy.barrier);
  uint32_t issuer = copy.warp->index * kWarpSize + static_cast<uint32_t>(copy.lane);
  used.isVisible = used.isVisible || flights.hasFenced(used.initThread, used.initTime) ||
                   flights.hasFenced(issuer, used.initTime);
  if (!used.isVisible)
    flights.report(*copy.warp, copy.lane, FindingKind::Proxy,
                   "the mbarrier was initialised without fence.mbarrier_init or "
                   "fence.proxy.async before the copy that arrives at it",
                   copy.barrier);
  used.isVisible = true;
}

/// An operation that reduces to the same bytes, which may go on at the same time.
BulkCopy *Asynchrony::inFlightWith(const BulkCopy &reduction) {
  for (BulkCopy &copy : bulkCopies)
    if (&copy != &reduction && copy.kind == BulkCopy::Kind::Put && copy.reduce &&
        copy.range == reduction.range)
      return &copy;
  return nullptr;
}

void Asynchrony::issue(BulkCopy copy) {
  bool writes = copy.writesShared(), isReduction = copy.kind == BulkCopy::Kind::Put && copy.reduce;
  if (writes)
    barrier(copy.lane, copy.barrier);
  else
    copy.group = bulkGroup(*copy.warp, copy.lane);
  if (copy.kind == BulkCopy::Kind::Load)
    checkVisible(copy);
  Direction direction = writes ? Direction::Writes : Direction::Reads;
  if (copy.kind != BulkCopy::Kind::Put)
    flights.checkProxy(*copy.warp, copy.lane, copy.range, direction,
                       writes ? "overwrites" : "reads");
  Observer *observer = block.machine.observer;
  if (observer && !isReduction)
    observer->asyncBegins(*copy.warp, copy.lane, writes ? AccessKind::Store : AccessKind::Load,
                          copy.range.begin, copy.range.end);
  BulkCopy *other = isReduction ? inFlightWith(copy) : nullptr;
  copy.flight = other ? other->flight : flights.begin(*copy.warp, copy.lane, direction, copy.range);
  bulkCopies.push_back(std::move(copy));
}

/// Reads the source of a store.
void Asynchrony::capture(BulkCopy &copy) {
  if (copy.isCaptured)
    return;
  const uint8_t *from = block.shared(copy.range.begin);
  copy.captured.assign(from, from + (copy.range.end - copy.range.begin));
  copy.isCaptured = true;
  flights.end(copy.flight);
}

void Asynchrony::execute(BulkCopy &copy) {
  switch (copy.kind) {
  case BulkCopy::Kind::Load:
    return load(copy);
  case BulkCopy::Kind::Put:
    return put(copy);
  case BulkCopy::Kind::Store:
  case BulkCopy::Kind::Reduce:
    return store(copy);
  }
}

void Asynchrony::store(BulkCopy &copy) {
  capture(copy);
  for (const BulkPiece &piece : copy.pieces) {
    eachUnit(copy, piece, [&](uint32_t shared, uint32_t offset, uint32_t bytes) {
      const uint8_t *from = copy.captured.data() + (shared - copy.range.begin);
      auto *to = reinterpret_cast<uint8_t *>(piece.global + offset);
      if (copy.reduce)
        copy.reduce(to, from, bytes);
      else
        copyUnit(to, from, bytes);
    });
    block.machine.memory.markInitialized(piece.global, piece.bytes);
  }
}

/// What a reduction did was an atomic access of its lane: who waits knows of it.
void Asynchrony::put(BulkCopy &copy) {
  uint8_t *to = block.shared(copy.range.begin);
  auto bytes = static_cast<uint32_t>(copy.captured.size());
  Observer *observer = block.machine.observer;
  if (!copy.reduce || !inFlightWith(copy))
    flights.end(copy.flight);
  if (copy.reduce) {
    copy.reduce(to, copy.captured.data(), bytes);
    if (observer)
      observer->mbarrierArrive(*copy.warp, LaneMask{1} << copy.lane, copy.barrier);
  } else {
    copyUnit(to, copy.captured.data(), bytes);
    if (observer)
      observer->asyncWritten(*copy.warp, copy.lane, *copy.instruction, copy.range.begin,
                             copy.range.end, copy.barrier);
  }
  barriers.at(copy.barrier).state.completeBytes(bytes);
}

void Asynchrony::load(BulkCopy &copy) {
  for (const BulkPiece &piece : copy.pieces) // rows of a matrix are far apart
    for (uint32_t byte = 0; byte < piece.bytes; byte += 64)
      __builtin_prefetch(reinterpret_cast<const uint8_t *>(piece.global) + byte);
  for (const BulkPiece &piece : copy.pieces)
    eachUnit(copy, piece, [&](uint32_t shared, uint32_t offset, uint32_t bytes) {
      uint8_t *to = block.shared(shared);
      if (piece.global)
        copyUnit(to, reinterpret_cast<const uint8_t *>(piece.global + offset), bytes);
      else
        for (uint32_t byte = 0; byte < bytes; ++byte)
          to[byte] = static_cast<uint8_t>(copy.fill >> 8 * ((shared + byte) % 8));
    });
  flights.end(copy.flight);
  if (Observer *observer = block.machine.observer)
    observer->asyncWritten(*copy.warp, copy.lane, *copy.instruction, copy.range.begin,
                           copy.range.end, copy.barrier);
  barriers.at(copy.barrier).state.completeBytes(copy.range.end - copy.range.begin);
}

void Asynchrony::commitBulk(Warp &warp, LaneMask lanes) {
  for (LaneMask rest = lanes; rest; rest &= rest - 1)
    ++bulkGroup(warp, std::countr_zero(rest));
}

void Asynchrony::waitForBulk(Warp &warp, LaneMask lanes, uint32_t allowed, bool isRead) {
  for (BulkCopy &copy : bulkCopies) {
    bool isMine = !copy.writesShared() && copy.warp == &warp && (lanes >> copy.lane & 1) &&
                  uint64_t{copy.group} + allowed < bulkGroup(warp, copy.lane);
    if (!isMine)
      continue;
    if (Observer *observer = block.machine.observer)
      observer->asyncRead(
          warp, LaneMask{1} << copy.lane, *copy.instruction, copy.range.begin, copy.range.end,
          kFirstSingleUnit + warp.index * kWarpSize + static_cast<uint32_t>(copy.lane));
    if (isRead) {
      capture(copy);
      continue;
    }
    execute(copy);
    copy.warp = nullptr;
  }
  std::erase_if(bulkCopies, [](const BulkCopy &copy) { return !copy.warp; });
}

void Asynchrony::finish() {
  for (CopyGroups &groups : copyGroups)
    if (!groups.pending().empty()) {
      Finding finding;
      finding.kind = FindingKind::Asynchronous;
      finding.severity = Severity::Warning;
      finding.message = "the block ends without waiting for its cp.async";
      finding.site.kernel = block.launch.program->kernel->name;
      finding.site.line = groups.pending().front()->instruction->source->line;
      block.machine.findings.add(std::move(finding));
    }
  for (BulkCopy &copy : bulkCopies) {
    if (copy.writesShared() || !copy.isCaptured) {
      Finding finding;
      finding.kind = FindingKind::Asynchronous;
      finding.message =
          "the block ends while " +
          std::string(copy.kind == BulkCopy::Kind::Put ? "an asynchronous store" : "a bulk copy") +
          (copy.writesShared() ? " writes" : " reads") + " its shared memory";
      finding.site.kernel = block.launch.program->kernel->name;
      finding.site.line = copy.instruction->source->line;
      finding.site.instruction = copy.instruction->source->text();
      block.machine.findings.add(std::move(finding));
    }
    if (!copy.writesShared())
      execute(copy);
  }
  bulkCopies.clear();
  warpgroups->finish();
}

std::string Asynchrony::describe() const {
  std::string text;
  for (const auto &[address, barrier] : barriers) {
    const Mbarrier &state = barrier.state;
    if (!barrier.waiting)
      continue;
    text += "\n  the mbarrier at shared address " + std::to_string(address) + " is in phase " +
            std::to_string(state.phase()) + " and waits for " +
            std::to_string(state.pendingArrivals()) + " arrivals and " +
            std::to_string(state.pendingBytes()) + " bytes";
  }
  return text;
}

} // namespace vgpu
