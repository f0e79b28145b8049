#include "count/Counters.h"

#include "exec/Block.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace vgpu {

void Counters::launchBegins(const Launch &launch, const TaskOrder &, uint64_t run) {
  runs[run] = std::make_unique<Run>(*launch.program, cacheBytes);
}

void Counters::launchEnds(const Launch &launch, uint64_t number) {
  Run &run = *runs.at(number);
  run.cache.flush();
  LaunchCounts counts = summarize(run.profile);
  counts.kernel = launch.program->kernel->name;
  counts.l2ReadBytes = run.cache.readBytes;
  counts.l2WrittenBytes = run.cache.writtenBytes;
  counts.dramReadBytes = run.cache.dramReadBytes;
  counts.dramWriteBytes = run.cache.dramWriteBytes;
  runs.erase(number);
  std::lock_guard lock(mutex);
  done.push_back(std::move(counts));
}

std::vector<LaunchCounts> Counters::ended(bool forgets) {
  std::lock_guard lock(mutex);
  return forgets ? std::exchange(done, {}) : done;
}

void Counters::blockBegins(Block &block) { block.profile = &runs.at(block.runNumber)->profile; }

void Counters::access(const MemoryAccess &access) {
  InstructionCounts *counts = access.warp.counts();
  if (!counts)
    return;
  if (access.space == ptx::Space::Global) {
    countGlobal(access, *counts, runs.at(access.warp.block.runNumber)->cache);
    access.warp.endTurn(); // blocks take turns by memory instruction
  } else if (access.space == ptx::Space::Shared) {
    Wavefronts wavefronts = wavefrontsOf(access.lanes, access.addresses, access.bytes);
    counts->wavefronts += wavefronts.actual;
    counts->leastWavefronts += wavefronts.least;
  }
}

void Counters::bulkAccess(Warp &warp, int, AccessKind kind, const BulkPieces &pieces) {
  CacheModel &cache = runs.at(warp.block.runNumber)->cache;
  for (const BulkPiece &piece : pieces)
    if (piece.global) {
      if (InstructionCounts *counts = warp.counts())
        counts->globalBytes += piece.bytes;
      bulkAccess(cache, kind, piece.global, piece.bytes);
    }
}

void Counters::bulkAccess(CacheModel &cache, AccessKind kind, uint64_t address, uint32_t bytes) {
  uint64_t first = address / CacheModel::kSectorBytes;
  uint64_t end = (address + bytes + CacheModel::kSectorBytes - 1) / CacheModel::kSectorBytes;
  for (uint64_t line = first / 4; line * 4 < end; ++line) {
    uint32_t mask = 0;
    for (uint64_t sector = std::max(first, line * 4); sector < std::min(end, line * 4 + 4);
         ++sector)
      mask |= 1u << sector % 4;
    if (kind != AccessKind::Store)
      cache.access(line, mask, false);
    if (kind != AccessKind::Load)
      cache.access(line, mask, true);
  }
}

void Counters::countGlobal(const MemoryAccess &access, InstructionCounts &counts,
                           CacheModel &cache) {
  uint64_t sectors[kWarpSize * 2];
  size_t count = 0;
  bool isAscending = true;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    uint64_t first = access.addresses[std::countr_zero(rest)] / CacheModel::kSectorBytes;
    if (count != 0 && sectors[count - 1] == first)
      continue;
    isAscending = isAscending && (count == 0 || sectors[count - 1] < first);
    sectors[count++] = first;
  }
  if (!isAscending) {
    std::sort(sectors, sectors + count);
    count = static_cast<size_t>(std::unique(sectors, sectors + count) - sectors);
  }
  ++counts.requests;
  counts.sectors += count;
  for (size_t index = 0; index < count;) {
    uint64_t line = sectors[index] / 4;
    uint32_t mask = 0;
    for (; index < count && sectors[index] / 4 == line; ++index)
      mask |= 1u << sectors[index] % 4;
    if (access.kind != AccessKind::Store)
      cache.access(line, mask, false);
    if (access.kind != AccessKind::Load)
      cache.access(line, mask, true);
  }
}

Wavefronts wavefrontsOf(LaneMask lanes, const uint64_t *addresses, uint32_t bytes) {
  constexpr uint32_t kBanks = 32, kWord = 4;
  uint32_t group = kBanks * kWord / std::max(bytes, kWord); // lanes that go together
  Wavefronts result;
  for (uint32_t first = 0; first < kWarpSize; first += group) {
    // Of each bank, the different words.
    uint64_t words[kBanks][kBanks];
    uint32_t count[kBanks] = {}, most = 0;
    for (uint32_t lane = first; lane < first + group; ++lane) {
      if (!(lanes >> lane & 1))
        continue;
      for (uint32_t number = 0; number < std::max(bytes / kWord, 1u); ++number) {
        uint64_t word = addresses[lane] / kWord + number;
        uint32_t bank = word % kBanks, known = 0;
        while (known < count[bank] && words[bank][known] != word)
          ++known;
        if (known < count[bank])
          continue;
        words[bank][count[bank]++] = word;
        most = std::max(most, count[bank]);
      }
    }
    result.actual += most;
    result.least += most != 0;
  }
  return result;
}

} // namespace vgpu
