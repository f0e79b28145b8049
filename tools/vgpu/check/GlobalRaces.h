#pragma once
// Races in global memory, between lanes, blocks, kernels and streams.
//
// A write that does not conflict with the reads that are remembered is taken to
// conflict with none. Where a cell is shared by lanes and a record of it leaves a
// doubt, smaller cells settle it.
//
// Weak reads of an allocation to which nothing has been written since their start
// conflict with nothing, so those that are scattered are only logged. Whatever else
// is done there, the shadow first gets what the log says: it is always as if it had
// got it at once.

#include "check/GlobalRegions.h"
#include "check/SharedRaces.h"

namespace vgpu {

class GlobalRaces {
public:
  struct Context {
    const BlockClocks &clocks;
    uint32_t warp;
    uint32_t line; ///< of the PTX
    /// Without it, what other blocks did in other launches is always in doubt.
    Conflicts *conflicts = nullptr;
  };
  /// Logs take about `mostLogged` bytes.
  GlobalRaces(const Epochs &epochs, const DeviceMemory &memory, size_t mostLogged = 128 << 20);

  /// The allocation of the address. See GlobalRegions.
  GlobalRegion &regionOf(size_t instruction, uint64_t address) {
    return regions.of(instruction, address);
  }
  /// More may have been written of it since.
  void lookForWritten(GlobalRegion &region) const {
    if (region.writtenEnd != region.end) [[unlikely]]
      regions.lookForWritten(region);
  }

  /// Remembers the access, after reporting conflicts.
  void access(const LaneAccess &access, const Context &context);
  /// As above, for one lane and the global memory of some pieces: a bulk copy.
  void accessPieces(const LaneAccess &access, int lane, const BulkPieces &pieces,
                    const Context &context);
  /// The usual access: all lanes touch `each` bytes that follow each other, weakly,
  /// after all that is remembered of them. False where there is more to look at;
  /// `access` does so, even if a part of it has been remembered.
  template <AccessKind kind>
  bool touchInOrder(GlobalRegion &region, uint64_t address, uint32_t each, const Context &context);

  /// Weak stores by all lanes to the region, in runs of lanes, see LaneAccess. False where
  /// there is more to look at, as above.
  bool storeRuns(GlobalRegion &region, const uint64_t *addresses, LaneMask runs, uint32_t each,
                 const Context &context);

  /// Whether weak loads of `each` bytes by the block are only logged.
  static bool canLog(const GlobalRegion &region, uint32_t each, const BlockClocks &clocks) {
    return region.newestWrite <= clocks.start &&
           region.end - region.base() <= uint64_t{1} << 32 << std::countr_zero(each);
  }
  /// Where the places of such a load go, see ReadLog.
  uint32_t *placesToLog(GlobalRegion &region) {
    if (!region.reads.hasRoom()) [[unlikely]]
      growLog(region);
    return region.reads.places();
  }
  /// Logs the load whose places have been written.
  void logLoad(GlobalRegion &region, uint32_t each, LaneMask lanes, LaneMask runs,
               const Context &context) {
    region.reads.add({recordOf(context, Strength::Weak, Scope::None, each), context.clocks.start,
                      context.clocks.ownKnown(context.warp), lanes, runs});
  }

  /// Everything up to `time` comes before whatever will be.
  void forget(Time time);
  /// Forgets everything: time begins again.
  void clear();

private:
  using Page = GlobalShadow::Page;
  using Cell = GlobalShadow::Cell;
  static constexpr uint32_t kLineBytes = GlobalShadow::kLineBytes;
  static constexpr uint32_t kOneLane = 31; ///< as `laneLog`: all bytes are one lane's

  /// An access, as its warp makes it now.
  struct Access {
    const Context *context; ///< null for a read from the log, which follows all writes
    const Time start, ownKnown;
    const uint32_t owner; ///< see Epochs::ownerOf
    const bool isLoad;
    uint32_t laneLog;  ///< each lane accesses 2 to this power of bytes
    CellRecord record; ///< of lane 0
  };

  static CellRecord recordOf(const Context &context, Strength strength, Scope scope,
                             uint32_t bytes);
  static Access accessOf(const LaneAccess &access, const Context &context);
  Access accessOf(const LoggedRead &read) const;
  /// The size of cells that the bytes of a line want, as a power of two.
  static uint32_t fittingLog(uint32_t offset, uint32_t bytes) {
    return std::min<uint32_t>(std::countr_zero(offset | bytes), GlobalShadow::kLineLog);
  }
  static CellRecord recordOf(const Access &access, uint32_t log, uint32_t lane, uint32_t offset);
  template <AccessKind kind>
  bool touchSettled(uint64_t address, uint32_t each, CellRecord record, Time start);
  bool touchUnsettled(uint64_t address, uint32_t each, AccessKind kind, const Context &context);
  bool touch(const Access &access, uint64_t address, uint32_t bytes, uint32_t lane);
  void settle(const Access &access, uint64_t address, uint32_t bytes, uint32_t lane);
  void settleCell(Page &page, const Access &access, uint32_t offset, CellRecord record,
                  uint64_t address);
  void seek(const uint64_t *addresses, LaneMask runs);
  void accessGroups(const LaneAccess &access, const Access &now);
  void accessNow(const LaneAccess &access, const Access &now);
  bool logAccess(const LaneAccess &access, const Context &context);
  void meetDirectly(GlobalRegion &region, AccessKind kind, const Context &context);
  void meetDirectly(const LaneAccess &access, const Context &context);
  void noteWrite(GlobalRegion &region, const Context &context) {
    region.newestWrite = std::max(region.newestWrite, context.clocks.epoch(context.warp));
  }
  void logRows(GlobalRegion &region, int lane, uint32_t rows, const Context &context);
  bool logInOrder(GlobalRegion &region, uint64_t address, uint32_t each, AccessKind kind,
                  const Context &context);
  void growLog(GlobalRegion &region);
  void applyLog(GlobalRegion &region);
  void replay(const GlobalRegion &region, const LoggedRead &read, const uint32_t *places);
  bool loadTogether(const Access &access, uint64_t address, uint32_t bytes, LaneMask others);
  bool touchCell(Page &page, uint32_t offset, uint32_t log, const Access &access,
                 CellRecord record) const;
  bool recordRead(Cell cell, uint32_t log, const Access &access, CellRecord record) const;
  bool follows(const CellRecord &earlier, uint32_t log, const Access &access,
               CellRecord record) const {
    return earlier.time <= access.start || followsUnsettled(earlier, log, access, record);
  }
  bool followsUnsettled(const CellRecord &earlier, uint32_t log, const Access &access,
                        CellRecord record) const;
  void report(Cell cell, uint32_t log, const Access &access, CellRecord record,
              uint64_t address) const;

  const Epochs &epochs;
  GlobalShadow shadow;
  GlobalRegions regions;
  LogPieces logMemory;
};

inline CellRecord GlobalRaces::recordOf(const Context &context, Strength strength, Scope scope,
                                        uint32_t bytes) {
  CellRecord record;
  record.time = context.clocks.epoch(context.warp);
  record.line = std::min(context.line, CellRecord::kMostLine);
  record.widthLog = std::min<uint32_t>(std::countr_zero(bytes), GlobalShadow::kLineLog);
  record.strength = static_cast<uint32_t>(strength);
  record.scope = static_cast<uint32_t>(scope);
  return record;
}

/// Cells that the access fills, and of which nothing is remembered since `start`
/// but this access.
template <AccessKind kind>
[[gnu::always_inline]] inline bool GlobalRaces::touchSettled(uint64_t address, uint32_t each,
                                                             CellRecord record, Time start) {
  uint32_t bytes = kWarpSize * each, log = fittingLog(0, bytes), cellBytes = 1u << log;
  auto first = static_cast<uint32_t>(address % GlobalShadow::kPageBytes), end = first + bytes;
  if (first & (cellBytes - 1) || end > GlobalShadow::kPageBytes) [[unlikely]]
    return false;
  Page &page = shadow.page(address);
  for (uint32_t offset = first; offset < end; offset += cellBytes) {
    if (page.log(offset) != log) [[unlikely]]
      return false;
    auto [write, reads] = page.cell(offset, log);
    if constexpr (kind == AccessKind::Load) {
      if (!(reads.last == record)) {
        if (std::max(page.newestWrite(offset), reads.last.time) > start) [[unlikely]]
          return false;
        reads.last = record;
      }
    } else {
      if (std::max(reads.last.time, reads.before.time) > start) [[unlikely]]
        return false;
      if (!(write == record)) {
        if (write.time > start) [[unlikely]]
          return false;
        write = record;
        page.noteWrite(offset, record.time);
      }
    }
    record.lane += cellBytes >> record.widthLog;
  }
  return true;
}

template <AccessKind kind>
[[gnu::always_inline]] inline bool GlobalRaces::touchInOrder(GlobalRegion &region, uint64_t address,
                                                             uint32_t each,
                                                             const Context &context) {
  if (!region.reads.isEmpty() && logInOrder(region, address, each, kind, context)) [[unlikely]]
    return true;
  if constexpr (kind == AccessKind::Store)
    noteWrite(region, context);
  CellRecord record = recordOf(context, Strength::Weak, Scope::None, each);
  return touchSettled<kind>(address, each, record, context.clocks.start) ||
         touchUnsettled(address, each, kind, context);
}

} // namespace vgpu
