#pragma once
// Reads of an allocation, one after the other, as they were made.
//
// Most memory that is read is not written meanwhile, and who read it when is never
// asked. To write that down in a row is cheap; the shadow, which is made for being
// asked, is as large as the memory, and each read of it another miss of the caches.

#include "check/GlobalShadow.h"

#include <cstring>
#include <vector>

namespace vgpu {

/// The memory of logs, in pieces, which are used again.
class LogPieces {
public:
  static constexpr size_t kWords = 1 << 14;

  explicit LogPieces(size_t mostBytes) : most(mostBytes / (kWords * sizeof(uint32_t))) {}

  bool areUsedUp() const { return used >= most; }
  uint32_t *take();
  void give(uint32_t *piece) {
    idle.push_back(piece);
    --used;
  }

private:
  struct Free {
    void operator()(void *memory) const { std::free(memory); }
  };
  std::vector<std::unique_ptr<uint32_t, Free>> slabs;
  std::vector<uint32_t *> idle;
  const size_t most;
  size_t used = 0;
};

/// A weak read by some lanes. Where it read follows in words: see `places`.
struct LoggedRead {
  CellRecord record;    ///< of lane 0
  Time start, ownKnown; ///< what its warp knew, see BlockClocks
  LaneMask lanes;       ///< that read; 0: one, rows of any number of bytes
  LaneMask runs;        ///< see LaneAccess; 0: all lanes read one place

  static constexpr uint32_t kMostRows = 31;
  /// Of the one lane.
  uint32_t rows() const { return runs; }
  /// How many words follow: the places of the runs, in units of what each lane
  /// reads, or the one place, or how many bytes a row has and where each begins.
  uint32_t places() const {
    return !lanes ? 1 + rows() : runs ? static_cast<uint32_t>(std::popcount(runs)) : 1;
  }
};

class ReadLog {
public:
  bool isEmpty() const { return pieces.empty(); }
  /// No read is newer.
  Time newest() const { return newestRead; }

  bool hasRoom() const { return static_cast<size_t>(limit - at) >= kHeaderWords + kWarpSize; }
  void grow(LogPieces &memory) {
    close();
    pieces.push_back({memory.take(), 0});
    at = pieces.back().words;
    limit = at + LogPieces::kWords;
  }
  /// Where the places of the next read go, up to one of each lane, if there is room.
  uint32_t *places() { return at + kHeaderWords; }
  /// The read whose places have been written there.
  void add(const LoggedRead &read) {
    std::memcpy(at, &read, sizeof read);
    at += kHeaderWords + read.places();
    newestRead = std::max(newestRead, read.record.time);
  }
  /// Calls visit(read, its places) for each, in order.
  template <class Visit> void each(Visit visit) {
    close();
    for (const Piece &piece : pieces)
      for (const uint32_t *next = piece.words, *end = next + piece.used; next != end;) {
        LoggedRead read;
        std::memcpy(&read, next, sizeof read);
        visit(read, next + kHeaderWords);
        next += kHeaderWords + read.places();
      }
  }
  void clear(LogPieces &memory) {
    for (const Piece &piece : pieces)
      memory.give(piece.words);
    *this = ReadLog();
  }

private:
  static constexpr uint32_t kHeaderWords = sizeof(LoggedRead) / sizeof(uint32_t);
  struct Piece {
    uint32_t *words;
    size_t used;
  };
  void close() {
    if (!pieces.empty())
      pieces.back().used = static_cast<size_t>(at - pieces.back().words);
  }

  std::vector<Piece> pieces;
  uint32_t *at = nullptr, *limit = nullptr; ///< what is left of the last piece
  Time newestRead = 0;
};

} // namespace vgpu
