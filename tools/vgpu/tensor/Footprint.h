#pragma once
// The bytes of shared memory that a wgmma reads: what its descriptors mean, worked
// out once.

#include "memory/SharedRange.h"
#include "tensor/Plan.h"

#include <map>
#include <memory>
#include <tuple>
#include <vector>

namespace vgpu::tensor {

struct Footprint {
  /// Of 16 bytes each: eight rows of the first half of a block along k, then eight
  /// of the second; then the next block of eight rows (of a matrix whose rows run
  /// across k: units of eight elements).
  std::vector<uint32_t> a, b;
  /// Ascending, as few as possible.
  std::vector<SharedRange> ranges;
  /// As `ranges`, with the gaps in rows of a swizzle filled.
  std::vector<SharedRange> hulls;
};

/// Of one device, by plan and descriptors.
class Footprints {
public:
  /// Both descriptors are valid. That of A counts if the plan takes it from memory.
  std::shared_ptr<const Footprint> of(const Plan &plan, uint64_t descriptorA, uint64_t descriptorB);

private:
  static constexpr size_t kMost = 4096;
  std::map<std::tuple<const Plan *, uint64_t, uint64_t>, std::shared_ptr<const Footprint>> known;
};

} // namespace vgpu::tensor
