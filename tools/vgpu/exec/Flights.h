#pragma once
// Shared memory that asynchronous operations are writing or reading, and what
// the asynchronous proxy may see of it.
//
// Bytes that cp.async writes have marks (SharedMark), which are set when it is issued and
// taken away when something waits for it. Of bulk copies and wgmma, which take much at
// once, pages are counted: who accesses such a page looks closer.

#include "check/Finding.h"
#include "exec/Block.h"
#include "memory/SharedRange.h"

#include <array>
#include <deque>
#include <span>
#include <vector>

namespace vgpu {

class Flights {
public:
  explicit Flights(Block &block, bool tracksProxies);

  enum class Direction : uint8_t { Writes, Reads };

  using Ranges = std::span<const SharedRange>;
  using Units = std::array<uint32_t, kWarpSize>;

  /// An operation begins, issued by a lane of the warp. Reports what does not go
  /// with it: bytes that are in flight already, or that hold an mbarrier. The ranges
  /// stay where they are until its end.
  uint64_t beginWrites(const Warp &warp, int lane, Ranges ranges);
  /// `ranges` are ascending, and `hulls` contain them.
  uint64_t beginReads(const Warp &warp, int lane, Ranges ranges, Ranges hulls);
  uint64_t begin(const Warp &warp, int lane, Direction direction, SharedRange range);
  /// As above, for a write of a unit of 16 bytes by each lane. 0, with nothing done, where
  /// there is more to look at.
  uint64_t beginUnits(const Warp &warp, const Units &units);
  /// Some bytes of what is written are done; the others will be, one part after the other.
  void endPart(uint64_t flight, SharedRange range);
  /// The whole operation is done.
  void end(uint64_t flight);

  /// Marks of bytes that an ordinary access must not touch.
  static constexpr uint8_t kForbidden = kArriving | kBarrier;
  /// Whether there may be an operation that an access to some of [begin, end) does not go
  /// with, apart from what the marks say.
  bool mayMeet(AccessKind kind, uint64_t begin, uint64_t end) const {
    return countsOf(Direction::Writes).mayBeIn(begin, end) ||
           (kind != AccessKind::Load && countsOf(Direction::Reads).mayBeIn(begin, end));
  }
  /// Reports an ordinary access to bytes that are in flight, or to an mbarrier.
  void check(const Warp &warp, AccessKind kind, LaneMask lanes, const uint64_t *addresses,
             uint32_t bytes) const;
  /// Ordinary accesses, for what the asynchronous proxy sees and overwrites.
  void remember(const Warp &warp, AccessKind kind, LaneMask lanes, const uint64_t *addresses,
                uint32_t bytes, const AddressGroups *groups = nullptr);

  /// fence.proxy.async.
  void fence(const Warp &warp, LaneMask lanes);
  /// Reports bytes that were written by ordinary stores and are now read or written
  /// by the asynchronous proxy, and bytes that were read by ordinary loads and are
  /// now written, without a fence of that thread or of the issuer between them.
  void checkProxy(const Warp &warp, int lane, SharedRange range, Direction direction,
                  std::string_view verb) {
    checkProxy(warp, lane, {&range, 1}, {&range, 1}, direction, verb);
  }
  /// The same for many ranges, which `hulls` contain.
  void checkProxy(const Warp &warp, int lane, Ranges ranges, Ranges hulls, Direction direction,
                  std::string_view verb);
  /// Whether this lane has fenced since `time`; for what is not in the marks.
  uint32_t now() const { return time; }
  bool hasFenced(uint32_t thread, uint32_t since) const { return fences[thread] > since; }

  void markBarrier(uint32_t address);
  void unmarkBarrier(uint32_t address);

  void report(const Warp &warp, int lane, FindingKind kind, std::string message, uint64_t address,
              std::string other = "", Severity severity = Severity::Error) const;

private:
  static constexpr uint32_t kUnit = 16, kPageUnits = 64, kPageBytes = kUnit * kPageUnits;
  struct Flight {
    Direction direction;
    Ranges ranges, hulls; ///< without hulls, marks say where it is
    SharedRange own{};    ///< where it is the only one
    const Instruction *instruction;
    uint32_t warp;
    int lane;
    const Units *units = nullptr; ///< where it has no ranges
    bool isDone = false;
  };
  /// An ordinary access.
  struct Accessor {
    uint32_t time = 0, thread = 0;
  };
  template <class Pages> static bool isAnySet(const Pages &pages, uint64_t begin, uint64_t end) {
    for (uint64_t page = begin / kPageBytes; page * kPageBytes < end; ++page)
      if (pages[page])
        return true;
    return false;
  }
  /// The last ones of each unit, and whether a page of units may have any.
  struct Accessors {
    explicit Accessors(uint32_t units) : units(units), pages(units / kPageUnits + 1, 0) {}
    bool mayHaveAny(SharedRange range) const { return isAnySet(pages, range.begin, range.end); }
    void forgetPages(SharedRange range);

    RecycledVector<Accessor> units;
    RecycledVector<uint8_t> pages;
  };

  /// Operations of one direction, by the pages that their hulls touch.
  struct PageCounts {
    explicit PageCounts(uint32_t pages) : pages(pages, 0) {}
    bool mayBeIn(uint64_t begin, uint64_t end) const {
      return total && isAnySet(pages, begin, end);
    }
    void add(Ranges hulls, int change);

    std::vector<uint16_t> pages;
    uint32_t total = 0;
  };
  /// Why bytes must not be touched.
  enum class Busy : uint8_t { No, Barrier, Written, Read };

  Flight &add(const Warp &warp, int lane, Direction direction);
  uint64_t lastFlight() const { return firstFlight + flights.size() - 1; }
  void setMarks(SharedRange range, uint8_t mark);
  void setMarks(const Units &units, uint8_t mark);
  uint8_t flagsOf(uint64_t address, uint32_t bytes) const;
  PageCounts &countsOf(Direction direction) { return inFlight[static_cast<int>(direction)]; }
  const PageCounts &countsOf(Direction direction) const {
    return inFlight[static_cast<int>(direction)];
  }
  bool isCounted(Direction direction, SharedRange range) const;
  bool isUsable(SharedRange hull);
  bool isPageUsable(uint32_t page);
  void forgetUsable(SharedRange range);
  Busy whyBusy(Direction direction, SharedRange range) const;
  /// Reports what does not go with an operation that begins.
  void checkFree(const Warp &warp, int lane, Direction direction, SharedRange range) const;
  void reportBusy(const Warp &warp, int lane, Direction direction, SharedRange range,
                  Busy busy) const;
  std::string describe(SharedRange range) const;
  bool isFenced(const Accessor &accessor, uint32_t issuer) const {
    return hasFenced(accessor.thread, accessor.time) || hasFenced(issuer, accessor.time);
  }
  /// `access` is what was done before: "store wrote".
  void checkEarlier(Accessors &accessors, const Warp &warp, int lane, SharedRange range,
                    std::string_view verb, Severity severity, std::string_view access);

  Block &block;
  bool tracksProxies;
  Flight &at(uint64_t flight) { return flights[flight - firstFlight]; }

  std::deque<Flight> flights; ///< by number; the first is not done
  uint64_t firstFlight = 1;
  PageCounts inFlight[2];           ///< by direction
  std::vector<uint8_t> usablePages; ///< whose marks are known to be kWritten, and nothing else
  Accessors writers, loaders;
  std::vector<uint32_t> fences; ///< the time of each thread's last fence
  uint32_t time = 1;
};

} // namespace vgpu
