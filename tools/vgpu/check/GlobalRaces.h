#pragma once
// Who touched global memory last: the shadow in which races between blocks,
// kernels and streams are seen.
//
// A line of 128 bytes that warps access as a whole needs one record for all its
// bytes; others have a cell for each granule. For each record of a write there
// are the last two reads by different warps: a write that neither conflicts with
// is taken to conflict with none.

#include "check/SharedRaces.h"

namespace vgpu {

class GlobalRaces {
public:
  struct Context {
    const BlockClocks &clocks;
    uint32_t line;
    Conflicts &conflicts;
  };

  void access(const MemoryAccess &access, const Context &context);
  /// As above, for one lane and any number of bytes: a bulk copy.
  void accessRange(const MemoryAccess &access, int lane, const Context &context);
  /// Forgets everything: time begins again.
  void clear();

private:
  static constexpr uint32_t kLineBytes = 128, kPageBytes = 4096;

  struct Record {
    Time time = 0; ///< 0: never
    Agent agent = 0;
    uint32_t line = 0;
    uint8_t warp = 0, lane = 0;
    uint8_t widthLog = 0; ///< of a whole line: bytes of each lane; lanes ascend
    uint8_t strength : 2 = 0;
    uint8_t scope : 3 = 0;
    bool hasMoreLanes : 1 = false; ///< of the same warp
  };
  struct Cell {
    Record write, reads[2];
  };
  struct Cells {
    Time newest;
    uint32_t granuleLog;
    Cell cells[]; ///< kLineBytes >> granuleLog
  };
  struct CellsDelete {
    void operator()(Cells *cells) const { ::operator delete(cells); }
  };
  struct alignas(64) Line {
    Cell whole;
    std::unique_ptr<Cells, CellsDelete> cells; ///< where `whole` is not all
  };
  struct Page {
    Line lines[kPageBytes / kLineBytes];
  };
  struct Access {
    const Context &context;
    uint32_t warp;
    AccessKind kind;
    Record record; ///< of its first lane
  };

  static Access begin(const MemoryAccess &access, const Context &context);
  Line &lineOf(uint64_t address);
  static std::unique_ptr<Cells, CellsDelete> newCells(uint32_t granuleLog);
  Cells &cellsOf(Line &line, uint32_t bytes);
  bool wholeLine(Line &line, const Access &access);
  void lanePart(const Access &access, int lane, uint64_t address, uint32_t bytes);
  bool follows(const Record &record, const Access &access, LaneMask lanes, bool isWhole) const;
  static LaneMask lanesOf(const Record &record, bool isWhole);
  static void recordRead(Cell &cell, const Record &record, const BlockClocks &clocks);
  bool reportUnordered(const Cell &cell, const Access &access, int lane, uint64_t address) const;

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
  struct Known {
    uint64_t number = ~uint64_t{0};
    Page *page = nullptr;
  };
  Known known[64];
};

} // namespace vgpu
