#include "tensor/Numerics.h"

#include <utility>

namespace vgpu::tensor {
namespace {

/// splitmix64: the next of a sequence of well-mixed numbers.
uint64_t mixed(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

Numerics process;

} // namespace

const Numerics &numerics() { return process; }

void setNumerics(const Numerics &numerics) { process = numerics; }

SumOrder sumOrder(const Numerics &numerics, int m, int n, int k, Format a, Format b,
                  Source source) {
  SumOrder order;
  for (int depth = 0; depth < k; ++depth)
    order.step[depth] = static_cast<uint8_t>(depth);
  // Sums of integers are exact, and f64 has a chain of fused multiply-adds.
  if (!numerics.isAdversarial || isInteger(a) || a == Format::F64)
    return order;
  order.isDocumented = false;
  if (numerics.sumsAlike) {
    m = n = 0;
    source = source == Source::SharedMemory ? Source::Registers : source;
  }
  uint64_t state = numerics.seed;
  for (int value : {m, n, k, int(a), int(b), int(source)})
    state = mixed(state) ^ static_cast<uint64_t>(value);
  for (int depth = k - 1; depth > 0; --depth)
    std::swap(order.step[depth], order.step[mixed(state) % (depth + 1)]);
  order.startsFromZero = mixed(state) & 1;
  order.keeps13Bits = isFp8(a) && isFp8(b);
  return order;
}

} // namespace vgpu::tensor
