#pragma once
// The state of an mbarrier object: pending arrivals and pending transaction
// bytes. A phase is complete when both are zero; then the next one begins with
// the expected arrivals.

#include <cstdint>
#include <stdexcept>
#include <string>

namespace vgpu {

/// What an arrival returns: opaque to kernels.
struct MbarrierToken {
  uint64_t bits;

  static MbarrierToken of(uint64_t phase, uint32_t pending) {
    return {(phase << 20 | pending) ^ kDisguise};
  }
  uint64_t phase() const { return (bits ^ kDisguise) >> 20; }
  uint32_t pending() const { return (bits ^ kDisguise) & 0xfffff; }

private:
  /// So that a kernel that computes with tokens computes nonsense.
  static constexpr uint64_t kDisguise = 0x5a00'0000'0000'0000;
};

/// Misuse of a barrier, in words.
struct MbarrierError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Mbarrier {
public:
  static constexpr uint32_t kMostArrivals = (1u << 20) - 1;
  static constexpr int64_t kMostBytes = (int64_t{1} << 20) - 1;

  /// Throws MbarrierError unless 1 <= count <= kMostArrivals.
  explicit Mbarrier(uint32_t count);

  /// The methods below throw MbarrierError when a count leaves its range. Those
  /// that arrive return the token of the phase they arrived in.
  MbarrierToken arrive(uint32_t count);
  /// Lowers also what later phases expect.
  MbarrierToken arriveAndDrop(uint32_t count);
  /// The caller promises that the phase does not end by it.
  MbarrierToken arriveWithoutCompleting(uint32_t count, bool drops);
  void expectBytes(int64_t bytes);
  void completeBytes(int64_t bytes);
  /// cp.async.mbarrier.arrive without .noinc: one arrival more in this phase.
  void raisePending();

  uint64_t phase() const { return currentPhase; }
  uint32_t pendingArrivals() const { return pending; }
  int64_t pendingBytes() const { return bytes; }
  /// Whether the phase of the token is over; it must be this one or the one before.
  bool isOver(MbarrierToken token) const;
  /// Whether the phase with this parity, of this one and the one before, is over.
  bool isOver(bool parity) const { return (currentPhase & 1) != parity; }

private:
  MbarrierToken take(uint32_t count, bool drops);
  void completeIfDone();

  uint32_t expected, pending;
  int64_t bytes = 0;
  uint64_t currentPhase = 0;
};

} // namespace vgpu
