#pragma once
// Which ranges of a span of addresses are taken.

#include <cstdint>
#include <iterator>
#include <map>

namespace vgpu {

class AddressRanges {
public:
  struct Range {
    uint64_t begin, end;
    bool contains(uint64_t address, uint64_t bytes) const {
      return address >= begin && address <= end && bytes <= end - address;
    }
  };

  explicit AddressRanges(Range span) : span(span) {}

  /// The lowest range that is free, or 0. The alignment is a power of two.
  uint64_t take(uint64_t bytes, uint64_t alignment) {
    uint64_t begin = roundUp(span.begin, alignment);
    for (const auto &[taken, end] : ends) {
      if (begin <= taken && bytes <= taken - begin)
        break;
      begin = roundUp(end, alignment);
    }
    return takeAt(begin, bytes) ? begin : 0;
  }
  /// Whether this very range is free, which it then is no longer.
  bool takeAt(uint64_t begin, uint64_t bytes) {
    if (!bytes || !span.contains(begin, bytes))
      return false;
    auto after = ends.lower_bound(begin);
    if (after != ends.end() && after->first < begin + bytes)
      return false;
    if (after != ends.begin() && std::prev(after)->second > begin)
      return false;
    ends[begin] = begin + bytes;
    return true;
  }
  bool give(uint64_t begin) { return ends.erase(begin) != 0; }

private:
  static uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) & -unit; }

  Range span;
  std::map<uint64_t, uint64_t> ends; ///< of the ranges, by their begins
};

} // namespace vgpu
