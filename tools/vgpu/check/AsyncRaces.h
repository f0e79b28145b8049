#pragma once
// What asynchronous operations did to the shared memory of a block. The copies that
// arrive at an mbarrier are an agent with a clock of its own: whoever has seen a
// phase end knows what they wrote. Reads by wgmma and by bulk stores are those of
// the warps that waited for them.
//
// Memory is in ranges as operations touch them, of which there are few.

#include "check/BlockClocks.h"
#include "check/Observer.h"
#include "check/SharedRaces.h"

#include <map>

namespace vgpu {

class AsyncRaces {
public:
  struct Range {
    uint32_t begin, end;
    bool operator==(const Range &) const = default;
  };
  struct Party {
    uint32_t warp = 0, line = 0;
    LaneMask lanes = 0;
  };

  bool isEmpty() const { return writes.empty() && reads.empty(); }
  /// Copies of the issuer that arrive at the mbarrier have written the range by `time`.
  void written(Range range, uint32_t mbarrier, Time time, const Party &issuer);
  /// A warp has waited for a read of the range. Of warps that read together (those
  /// of one `unit`), it is enough to know one.
  void read(Range range, uint32_t unit, Time time, const Party &waiter);

  /// What the lanes of the warp do not know to have been done in the range, if they
  /// write to it or read it now.
  std::optional<Conflict> conflict(Range range, bool isWrite, uint32_t warp, LaneMask lanes,
                                   const BlockClocks &clocks) const;

  /// The number of an mbarrier's agent among the warps of its block.
  uint32_t agentOf(uint32_t mbarrier);

private:
  /// The warps of a block have smaller numbers.
  static constexpr uint32_t kFirstAgent = Epochs::kMostWarps;
  static constexpr uint32_t kMostAgents = 256 - kFirstAgent;
  /// Where there are more, the oldest are forgotten.
  static constexpr size_t kMostRanges = 256;

  static constexpr uint32_t kWarpsOfUnit = 4;

  struct Write {
    Range range;
    uint32_t agent;
    Time time;
    Party issuer;
  };
  struct Read {
    Range range;
    uint32_t unit;
    std::array<Time, kWarpsOfUnit> times{}; ///< by warp, as many as there are
    Party last;
  };
  static bool overlap(Range one, Range other) {
    return one.begin < other.end && other.begin < one.end;
  }

  bool isKnown(const Read &read, uint32_t warp, int lane, const BlockClocks &clocks) const;

  std::vector<Write> writes;
  std::vector<Read> reads;
  std::map<uint32_t, uint32_t> agents; ///< of mbarriers
};

} // namespace vgpu
