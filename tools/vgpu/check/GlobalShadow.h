#pragma once
// What is remembered of the accesses to global memory.
//
// Memory has *cells*, each with a record of its last write and of the last two
// reads by different warps. The cells of a line of 128 bytes have one size, a
// power of two: the line is one cell as long as warps access it as a whole, and
// is split where something smaller is accessed or has to be told apart.
//
// A page has places for cells of 64, 16, 4 and 1 bytes; cells of twice the size
// take every other place. Places that no line has used take no memory.

#include "check/Epochs.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <unordered_map>

namespace vgpu {

/// An access, as a cell remembers it.
struct alignas(8) CellRecord {
  Time time = 0; ///< which tells the warp
  uint32_t line : 18 = 0;
  /// Lanes ascend: 2 to this power is how many bytes each of them accessed.
  /// No less than the cell for a single lane.
  uint32_t widthLog : 3 = 0;
  uint32_t lane : 5 = 0; ///< of the cell's first byte
  uint32_t strength : 2 = 0;
  uint32_t scope : 3 = 0;
  uint32_t hasMoreLanes : 1 = 0; ///< of the same warp

  /// Lines of the PTX from here on are one.
  static constexpr uint32_t kMostLine = (1 << 18) - 1;

  bool operator==(const CellRecord &other) const {
    return std::bit_cast<uint64_t>(*this) == std::bit_cast<uint64_t>(other);
  }
};

class GlobalShadow {
public:
  static constexpr uint32_t kLineLog = 7, kLineBytes = 1 << kLineLog;
  static constexpr uint32_t kPageBytes = 1 << 16;

  struct alignas(16) Reads {
    CellRecord last, before; ///< by different warps
  };
  struct Cell {
    CellRecord &write;
    Reads &reads;
  };

  class Page {
  public:
    Page();

    // Of the line that holds the byte `offset` of the page:

    /// The size of its cells, as a power of two.
    uint32_t log(uint32_t offset) const { return logs[offset / kLineBytes]; }
    /// No write to it is newer.
    Time newestWrite(uint32_t offset) const { return writeTimes[offset / kLineBytes]; }
    void noteWrite(uint32_t offset, Time time) {
      Time &newest = writeTimes[offset / kLineBytes];
      newest = std::max(newest, time);
    }
    /// Makes its cells as small as 2 to the `log` bytes, with what was known before.
    /// Where that is all older than `start`, it is forgotten, and they get that size.
    void fit(uint32_t offset, uint32_t log, Time start);

    /// The cell that begins at the byte, of 2 to the `log` bytes as the line has.
    Cell cell(uint32_t offset, uint32_t log) const {
      const Places &level = places[log / 2];
      uint32_t place = offset >> (log & ~1u);
      return {level.writes[place], level.reads[place]};
    }
    /// The cell of the byte is about to be read from, or written to.
    void prefetch(uint32_t offset) const {
      uint32_t log = this->log(offset);
      const Places &level = places[log / 2];
      uint32_t place = offset >> (log & ~1u);
      __builtin_prefetch(&level.reads[place], 1);
      __builtin_prefetch(&level.writes[place], 1);
    }

  private:
    static constexpr uint32_t kLines = kPageBytes / kLineBytes;
    struct Free {
      void operator()(void *memory) const { std::free(memory); }
    };
    struct Places {
      std::unique_ptr<CellRecord[], Free> writes;
      std::unique_ptr<Reads[], Free> reads;
    };

    void addPlaces(uint32_t log);
    bool isOlder(uint32_t line, Time start);

    uint8_t logs[kLines];
    Time writeTimes[kLines] = {};
    Time recentSince[kLines]; ///< something in the line is known to be newer
    Places places[kLineLog / 2 + 1];
  };

  Page &page(uint64_t address) {
    uint64_t number = address / kPageBytes;
    const Known &entry = known[number % std::size(known)];
    return entry.number == number ? *entry.page : find(number);
  }
  /// Forgets everything.
  void clear();

private:
  Page &find(uint64_t number);

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
  struct Known {
    uint64_t number = ~uint64_t{0};
    Page *page = nullptr;
  };
  Known known[1024]; ///< pages that were used last
};

} // namespace vgpu
