#pragma once
// How products are summed. PTX leaves the order of the sums inside of one
// matrix instruction open. The documented mode: a sum starts from the
// accumulator and takes the products in ascending order of k; every product and
// every partial sum is rounded to f32. The adversarial mode does what else a
// machine might do, so that nothing comes to depend on the order: k is permuted
// by a hash of the shape, the types and where A comes from; the accumulator
// comes first or last, by the same hash; sums of FP8 products keep 13 bits of
// mantissa. Another seed gives another order.

#include "tensor/Format.h"

#include <cstdint>

namespace vgpu::tensor {

struct Numerics {
  bool isAdversarial = false;
  /// The assumption that a sum depends on its k and on the types only, be it by mma.sync
  /// or by wgmma of shared memory: the hash leaves out m, n and which of them it is.
  bool sumsAlike = false;
  uint64_t seed = 0;
};

/// Of the process. To be set before any kernel is decoded.
const Numerics &numerics();
void setNumerics(const Numerics &numerics);

/// Where A comes from.
enum class Source : uint8_t { Registers, WarpgroupRegisters, SharedMemory };

constexpr int kMostDepth = 256;

/// The order of one shape's sums.
struct SumOrder {
  uint8_t step[kMostDepth];    ///< when the product of each k is added
  bool isDocumented = true;    ///< `step` is ascending, and the rest of this is false
  bool startsFromZero = false; ///< the accumulator is added last
  bool keeps13Bits = false;
};

/// k is at most kMostDepth.
SumOrder sumOrder(const Numerics &numerics, int m, int n, int k, Format a, Format b, Source source);

} // namespace vgpu::tensor
