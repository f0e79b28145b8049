#pragma once
// wgmma: four warps multiply together, asynchronously. An operation begins when
// all four warps have issued it; it is executed when the first of them waits.
//
// Registers of an operation are in flight from issue to wait. In kernels that use
// wgmma every instruction that touches such registers runs through `before`, which
// knows them. `mov` between registers is renaming: compilers put it
// between asynchronous operations, where hardware has no instruction at all.

#include "exec/Flights.h"
#include "program/RegisterUse.h"
#include "tensor/Arithmetic.h"
#include "tensor/Footprint.h"

#include <deque>
#include <memory>
#include <span>

namespace vgpu {

class WarpgroupEngine {
public:
  static constexpr uint32_t kWarps = 4;

  WarpgroupEngine(Block &block, Flights &flights);

  /// wgmma.mma_async. `registers` are the accumulators, then those of A, if it
  /// is not in memory.
  void issue(Warp &warp, const Instruction &instruction, const tensor::Plan &plan,
             uint64_t descriptorA, uint64_t descriptorB, bool accumulates);
  void commit(Warp &warp);
  /// False if the other warps of the group have yet to issue what it waits for.
  bool wait(Warp &warp, uint32_t allowed);
  /// wgmma.fence.
  void fence(Warp &warp);

  /// Before an instruction that touches registers which may be in flight, but for
  /// wgmma itself. False: try again later.
  bool before(Warp &warp, const RegisterUse &use);
  /// A warp leaves: reports what it did not wait for.
  void finish();

private:
  /// One operation of four warps, with its operands as the arithmetic wants them.
  struct Tile {
    const Instruction *instruction = nullptr;
    const tensor::Plan *plan = nullptr;
    uint64_t descriptorA = 0, descriptorB = 0;
    std::shared_ptr<const tensor::Footprint> footprint;
    uint32_t issuedBy = 0; ///< mask of warps
    uint32_t remaining = kWarps;
    uint64_t flight = 0;
    bool isCaptured = false;
    RecycledVector<uint32_t> a[kWarps], b;
  };
  /// Four warps and the tiles that they have begun, by number.
  struct Group {
    std::deque<std::unique_ptr<Tile>> tiles;
    uint64_t first = 0;
    std::vector<std::unique_ptr<Tile>> idle; ///< whose memory is used again
  };
  struct Operation {
    uint64_t sequence;
    uint32_t group;
    const Instruction *instruction;
    const tensor::Plan *plan;
    bool accumulates, isDone = false;

    uint32_t accumulators() const { return static_cast<uint32_t>(plan->registersOfD); }
    /// Whether it adds to what the other, of the same kind, leaves.
    bool continues(const Operation &other) const;
  };
  struct WarpState {
    std::vector<Operation> operations; ///< in the order of their issue
    uint32_t openGroup = 0;
    uint64_t issued = 0;
    bool hasFenced = false; ///< at all
    /// The last wgmma, of the open group, as long as its registers are marked as they
    /// were then.
    const Instruction *lastMarked = nullptr;
    std::vector<uint32_t> flightGroup; ///< of each register: 1 + the group it is in flight for
    std::vector<uint8_t> isOperandOfA; ///< and whether only as an operand that is read
    std::vector<uint8_t> isUnfenced;   ///< written since the last wgmma.fence
  };

  WarpState &stateOf(const Warp &warp);
  Tile &tileOf(const Warp &warp, uint64_t sequence);
  /// Gives up the oldest tile, which all its warps have waited for.
  static void dropFirst(Group &group);
  void checkFenced(Warp &warp, WarpState &state, const Operation &operation);
  static void markRegisters(WarpState &state, const Operation &operation);
  void beginTile(Warp &warp, Tile &tile);
  void checkInShared(const std::vector<SharedRange> &ranges) const;
  void capture(Tile &tile);
  void captureMatrix(const tensor::Plan &plan, tensor::Side side, const uint32_t *units, int rows,
                     int stride, RecycledVector<uint32_t> &out);
  tensor::Factors factorsOf(Warp &warp, const Operation &operation);
  void execute(Warp &warp, std::span<Operation> operations);
  /// Executes operations, in order, up to and with the last for which `isNeeded`.
  template <class Needed> bool executeThrough(Warp &warp, WarpState &state, Needed isNeeded);
  bool rename(Warp &warp, WarpState &state, const RegisterUse &use);

  Block &block;
  Flights &flights;
  std::vector<Group> groups;
  std::vector<WarpState> warps;
};

} // namespace vgpu
