#pragma once
// Who touched global memory last: the shadow in which races between blocks,
// kernels and streams are seen.
//
// Memory has cells, each with a record of its last write and of the last two
// reads by different warps since: a write that neither conflicts with is taken
// to conflict with none. A line of 128 bytes has one cell as long as warps
// access it as a whole, and else cells of 16 bytes or fewer. Where a cell is
// shared by lanes and a record of it leaves a doubt, smaller cells settle it.

#include "check/SharedRaces.h"

namespace vgpu {

class GlobalRaces {
public:
  struct Context {
    const BlockClocks &clocks;
    uint32_t line;
    Conflicts &conflicts;
  };

  explicit GlobalRaces(const Epochs &epochs) : epochs(epochs) {}

  void access(const MemoryAccess &access, const Context &context);
  /// As above, for one lane and any number of bytes: a bulk copy.
  void accessRange(const MemoryAccess &access, int lane, const Context &context);
  /// Forgets everything: time begins again.
  void clear();

private:
  static constexpr uint32_t kLineLog = 7, kLineBytes = 1 << kLineLog, kPageBytes = 16384;
  static constexpr uint32_t kLargestPart = 4; ///< of a line, as a power of two
  /// Lines of the PTX from here on are one.
  static constexpr uint32_t kMostLine = (1 << 18) - 1;

  struct alignas(8) Record {
    Time time = 0; ///< which tells the warp
    uint32_t line : 18 = 0;
    /// Lanes ascend: 2 to this power is how many bytes each of them accessed.
    /// No less than the cell for a single lane.
    uint32_t widthLog : 3 = 0;
    uint32_t lane : 5 = 0; ///< of the cell's first byte
    uint32_t strength : 2 = 0;
    uint32_t scope : 3 = 0;
    uint32_t hasMoreLanes : 1 = 0; ///< of the same warp
  };
  struct Cell {
    Record write, reads[2];
  };
  struct Line {
    Cell whole;
    std::unique_ptr<Cell[]> cells; ///< where `whole` is not all
    Time newest = 0;
    uint8_t cellLog = kLineLog;
  };
  struct Page {
    Line lines[kPageBytes / kLineBytes];
  };
  struct Access {
    const Context &context;
    const Time start, ownKnown;
    const uint32_t owner; ///< see Epochs::ownerOf
    const bool isLoad;
    Record record; ///< of lane 0
  };

  Access begin(const MemoryAccess &access, const Context &context) const;
  Line &lineOf(uint64_t address);
  void split(Line &line, uint32_t log, Time start);
  void part(const Access &access, uint64_t address, uint32_t bytes, uint32_t lane);
  void inLine(Line &line, const Access &access, uint64_t address, uint32_t bytes, uint32_t lane);
  void accessGroups(const MemoryAccess &access, const Access &now);
  bool loadTogether(Line &line, const Access &access, uint64_t address, uint32_t bytes,
                    LaneMask others) const;
  bool touchWhole(Line &line, const Access &access, uint32_t lane) const;
  bool touch(Cell &cell, uint32_t log, const Access &access, Record record) const;
  bool recordRead(Cell &cell, uint32_t log, const Access &access, Record record) const;
  static uint32_t apart(const Cell &cell, uint32_t log, Record record);
  bool follows(const Record &earlier, uint32_t log, const Access &access, Record record) const;
  bool followsUnsettled(const Record &earlier, uint32_t log, const Access &access,
                        Record record) const;
  static LaneMask lanesOf(const Record &record, uint32_t log);
  void report(const Cell &cell, uint32_t log, const Access &access, Record record,
              uint64_t address) const;

  const Epochs &epochs;
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
  struct Known {
    uint64_t number = ~uint64_t{0};
    Page *page = nullptr;
  };
  Known known[1024];
};

} // namespace vgpu
