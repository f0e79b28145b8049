#pragma once
// A warp: 32 lanes that execute together while they agree on where to go.

#include "check/Finding.h"
#include "exec/Launch.h"
#include "memory/Recycled.h"

#include <cstring>

namespace vgpu {

class Block;
struct InstructionCounts;

/// Registers of one call.
struct Frame {
  const Function *function = nullptr;
  RecycledVector<uint32_t> registers;
  std::vector<LaneMask> predicates;
  uint32_t localBase = 0; ///< where its local memory starts
};

/// Where diverged lanes wait for each other. Also a call: its lanes come back
/// by `ret` and go on behind the call.
struct Join {
  uint32_t pc = 0;
  LaneMask expected = 0, arrived = 0;
  int parent = -1;
  Frame *frame = nullptr;             ///< in which `pc` lies
  const Instruction *call = nullptr;  ///< for a call
  std::unique_ptr<Frame> calleeFrame; ///< for a call
  bool isUsed = false;
};

/// Lanes with a program counter of their own. A warp has one path until its
/// lanes diverge.
struct Path {
  enum class State : uint8_t {
    Ready,
    Polling, ///< its instruction answered Wait
    Lanes,   ///< waits for other lanes to come to the same instruction
    Barrier, ///< waits at a barrier of the block
  };
  State state = State::Ready;
  uint32_t pc = 0;
  LaneMask lanes = 0;
  int join = -1;
  Frame *frame = nullptr;
  int barrier = -1;
  LaneMask reduction = 0; ///< lanes whose predicate holds, for bar.red
};

class Warp {
public:
  enum class Outcome : uint8_t {
    Ran,      ///< used its budget
    Blocked,  ///< executed something, then had to wait
    Stalled,  ///< could execute nothing
    Finished, ///< all lanes have left
  };

  Warp(Block &block, uint32_t index, LaneMask lanes);

  /// Executes at most about `budget` instructions. A Fault leaves the warp at
  /// the instruction that caused it.
  Outcome run(uint32_t budget);
  /// The instruction that is being executed.
  const Instruction *current() const { return code ? &code[pc] : nullptr; }
  Site site(int lane) const;

  // --- For handlers: registers of the current frame.

  template <class T> T *lanes(Operand operand) const {
    uint32_t *base = operand.word < 0 ? constants + ~operand.word : registers + operand.word;
    return reinterpret_cast<T *>(base);
  }
  LaneMask predicate(Operand operand) const {
    return predicates[operand.word >> 1] ^ -static_cast<LaneMask>(operand.word & 1);
  }
  void setPredicate(Operand operand, LaneMask lanes, LaneMask value) {
    LaneMask &predicate = predicates[operand.word >> 1];
    predicate = (predicate & ~lanes) | (value & lanes);
  }

  // --- For handlers: control flow. They set where the warp goes on: return Jump.

  void jump(uint32_t target) { pc = target; }
  /// The lanes of `taken` go to `target`, the other active ones to the next instruction.
  void branch(LaneMask taken, uint32_t target, uint32_t reconvergence);
  /// As branch, but the others come to this instruction again.
  void branchApart(LaneMask taken, uint32_t target, uint32_t reconvergence);
  void call(const Instruction &instruction, const Function &callee, LaneMask lanes);
  void returnFromCall(LaneMask lanes);
  void exit(LaneMask lanes);
  /// For `.sync` instructions: all of `members` that have not left come together.
  /// Returns the lanes that execute now, or 0 if the path has to wait (return Jump).
  LaneMask gather(LaneMask lanes, LaneMask members);
  /// The current path waits at a barrier and goes on behind the instruction.
  void waitAtBarrier(int barrier, LaneMask reduction);
  void releaseBarrier(int barrier, uint32_t popcount, bool all, bool any);
  /// What is left of the turn shrinks: others should run, since this one polls.
  void yield(uint32_t instructions) {
    remaining = remaining > instructions ? remaining - instructions : 1;
  }

  /// Others have their turn after this instruction.
  void endTurn() { remaining = 0; }

  const Function &function() const { return *frame->function; }
  /// Where the current instruction is counted, or null.
  InstructionCounts *counts() const;
  LaneMask live() const { return existing & ~exited; }
  bool isWaitingAt(int barrier) const;
  /// Local memory: the words of 32 lanes lie together.
  uint32_t localBase() const { return frame->localBase; }

  Block &block;
  const uint32_t index; ///< in the block
  const LaneMask existing;
  LaneMask active = 0; ///< lanes of the current path
  uint32_t pc = 0;
  /// Data and, a byte for each word, the mask of its bytes that were written.
  RecycledVector<uint32_t> local;
  RecycledVector<uint8_t> localWritten;
  LaneMask exited = 0;
  LaneMask barrierLanes[16] = {}; ///< arrived, one lane after the other, without .aligned
  LaneMask clusterLanes = 0;      ///< arrived at barrier.cluster
  uint32_t clusterPhase = 0;      ///< of the block when the warp arrived
  uint64_t executed = 0;

private:
  friend class Block;
  std::unique_ptr<Frame> newFrame(const Function &function, uint32_t localBase);
  void select(size_t path);
  bool selectReady();
  void save();
  void dropCurrent();
  /// Takes lanes off the current path, whose other lanes go on behind the
  /// instruction, and off the joins that they will not come to.
  void leavePath(LaneMask lanes, const std::vector<int> &passed);
  int newJoin(Join join);
  void arrive(int join, LaneMask lanes);
  void completeIfAll(int join);
  void reachReconvergence();
  void growLocal(uint32_t bytes);
  void copySlots(const ParameterSlot &to, uint32_t *toRegisters, Operand from,
                 const uint32_t *fromRegisters, LaneMask lanes);
  void wakeLaneWaiters();
  void count(LaneMask lanes);
  void uncount(LaneMask lanes);

  const Instruction *code = nullptr;
  uint32_t reconvergence = Function::kNever;
  uint32_t *registers = nullptr;
  uint32_t *constants = nullptr;
  LaneMask *predicates = nullptr;
  InstructionCounts *profile = nullptr; ///< of the function, if the block counts
  uint32_t remaining = 0;
  Frame *frame = nullptr;

  std::unique_ptr<Frame> kernelFrame;
  std::vector<Path> paths;
  size_t currentPath = 0;
  bool hasCurrent = false;
  std::vector<Join> joins;
};

} // namespace vgpu
