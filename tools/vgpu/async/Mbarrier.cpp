#include "async/Mbarrier.h"

namespace vgpu {

Mbarrier::Mbarrier(uint32_t count) : expected(count), pending(count) {
  if (count < 1 || count > kMostArrivals)
    throw MbarrierError("an mbarrier expects 1 to " + std::to_string(kMostArrivals) +
                        " arrivals, not " + std::to_string(count));
}

MbarrierToken Mbarrier::take(uint32_t count, bool drops) {
  MbarrierToken token = MbarrierToken::of(currentPhase, pending);
  if (count < 1 || count > pending)
    throw MbarrierError("arrives " + std::to_string(count) +
                        " times at an mbarrier that waits for " + std::to_string(pending) +
                        " arrivals and " + std::to_string(bytes) + " bytes");
  pending -= count;
  if (drops)
    expected -= count;
  return token;
}

MbarrierToken Mbarrier::arrive(uint32_t count) {
  MbarrierToken token = take(count, false);
  completeIfDone();
  return token;
}

MbarrierToken Mbarrier::arriveAndDrop(uint32_t count) {
  MbarrierToken token = take(count, true);
  completeIfDone();
  return token;
}

MbarrierToken Mbarrier::arriveWithoutCompleting(uint32_t count, bool drops) {
  if (count >= pending && bytes == 0)
    throw MbarrierError("an arrival with .noComplete completes the phase");
  return take(count, drops);
}

void Mbarrier::expectBytes(int64_t count) {
  bytes += count;
  if (bytes > kMostBytes || bytes < -kMostBytes)
    throw MbarrierError("the transaction count of an mbarrier becomes " + std::to_string(bytes) +
                        ", but its range is " + std::to_string(kMostBytes) + " either way");
}

void Mbarrier::completeBytes(int64_t count) {
  expectBytes(-count);
  completeIfDone();
}

void Mbarrier::raisePending() {
  if (pending == kMostArrivals)
    throw MbarrierError("an mbarrier waits for too many arrivals");
  ++pending;
}

bool Mbarrier::isOver(MbarrierToken token) const {
  if (token.phase() != currentPhase && token.phase() + 1 != currentPhase)
    throw MbarrierError("waits for phase " + std::to_string(token.phase()) +
                        " of an mbarrier that is in phase " + std::to_string(currentPhase));
  return token.phase() != currentPhase;
}

void Mbarrier::completeIfDone() {
  if (pending != 0 || bytes != 0)
    return;
  ++currentPhase;
  pending = expected;
}

} // namespace vgpu
