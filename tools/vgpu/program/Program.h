#pragma once
// A kernel and everything it may call, decoded: what warps execute.

#include "program/RegisterUse.h"
#include "ptx/Syntax.h"

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace vgpu {

constexpr int kWarpSize = 32;
using LaneMask = uint32_t;
constexpr LaneMask kAllLanes = ~LaneMask{0};

class Warp;
struct Instruction;
struct Function;

/// What a warp does after an instruction.
enum class Step : uint8_t {
  Next, ///< goes on with the following instruction
  Jump, ///< the handler has set where to go on
  Wait, ///< nothing happened: try the same instruction again later
};

/// Executes one instruction for the lanes of the mask, which is never empty.
using Handler = Step (*)(Warp &, const Instruction &, LaneMask);

/// Where an operand lives, in 32-bit words: at `word` of the frame's registers,
/// or, where it is negative, at `~word` of the function's constants. A register
/// is 32 lanes: u32 lanes for up to 4 bytes (narrow values are zero-extended),
/// u64 lanes for 8, and two such halves, the low one first, for 16.
/// A predicate is `2 × number + negated`; predicate 0 is always true.
struct Operand {
  int32_t word = 0;
};

enum class Order : uint8_t { Weak, Relaxed, Acquire, Release, AcquireRelease };
enum class Scope : uint8_t { None, Block, Cluster, Device, System };

/// How an instruction touches memory.
struct MemoryForm {
  ptx::Space space = ptx::Space::Generic;
  uint8_t elementBytes = 0;
  uint8_t elements = 1;
  Order order = Order::Weak;
  Scope scope = Scope::None;
  bool isVolatile = false;
  bool isReadOnly = false;  ///< ld.global.nc
  bool isAddress32 = false; ///< the base is a 32-bit register

  uint32_t bytes() const { return uint32_t{elementBytes} * elements; }
};

/// How an instruction ends a basic block.
enum class Flow : uint8_t { Next, Branch, IndexedBranch, Return, Exit };

/// For counters: what unit executes it.
enum class InstructionClass : uint8_t {
  Integer,
  Float,
  Double,
  Half,
  Special,
  Convert,
  Move,
  Predicate,
  Control,
  Load,
  Store,
  Atomic,
  Shuffle,
  Vote,
  Barrier,
  Tensor,
  Asynchronous,
  Count,
};

struct alignas(64) Instruction {
  Handler execute = nullptr;
  LaneMask guardFlip = 0; ///< xor of the guard: all ones for `@!p`
  uint16_t guard = 0;     ///< predicate number; 0 is always true
  Flow flow = Flow::Next;
  InstructionClass kind = InstructionClass::Integer;
  ptx::Type type = ptx::Type::None;
  ptx::Type sourceType = ptx::Type::None;
  MemoryForm memory;
  std::array<Operand, 6> operands{}; ///< destinations first
  int64_t immediate = 0;             ///< offset of an address, or what the family wants
  uint32_t target = 0;               ///< instruction to branch to, or callee
  uint32_t reconvergence = 0;        ///< where diverged lanes meet again
  uint32_t modifiers = 0;            ///< bits, each family's own
  uint32_t listCount = 0;
  const Operand *list = nullptr; ///< operands of vectors, one after the other
  const ptx::Instruction *source = nullptr;
};

/// Frees memory that is aligned to a cache line.
struct AlignedDelete {
  void operator()(uint32_t *words) const { ::operator delete(words, std::align_val_t{128}); }
};
using AlignedWords = std::unique_ptr<uint32_t, AlignedDelete>;
inline AlignedWords allocateWords(size_t count) {
  return AlignedWords(
      static_cast<uint32_t *>(::operator new(count * sizeof(uint32_t), std::align_val_t{128})));
}

/// Parameters of device functions live in the frame like registers: bytes
/// [4 k, 4 k + 4) of all lanes are the 32 words at `word + 32 k`.
struct ParameterSlot {
  int32_t word = 0;
  uint32_t bytes = 0;
  bool isRegister = false; ///< declared `.reg`: laid out as a register
};

struct Function {
  const ptx::Function *source = nullptr;
  uint64_t address = 0; ///< of indirect calls
  std::vector<Instruction> code;
  AlignedWords constants;
  uint32_t registerWords = 0;
  /// Of these, [definedBegin, definedEnd) are written before they are read.
  uint32_t definedBegin = 0, definedEnd = 0;
  uint32_t predicates = 1;
  uint32_t localBytes = 0; ///< of each lane, without callees
  std::vector<ParameterSlot> parameters, results;
  std::vector<std::vector<Operand>> lists;         ///< storage of Instruction::list
  std::vector<std::vector<uint32_t>> branchTables; ///< of brx.idx
  /// Where kernels use wgmma: what runs instead of `code`, and what registers
  /// each instruction touches of those that may be in flight.
  std::vector<Instruction> guarded;
  std::vector<RegisterUse> uses;
  const Instruction *executed() const { return (guarded.empty() ? code : guarded).data(); }
  /// Never met: the reconvergence point of lanes that meet only by leaving.
  static constexpr uint32_t kNever = ~0u;
};

/// What a program needs of the machine, and what scheduling may assume.
struct ProgramTraits {
  bool hasGlobalAtomics = false; ///< or volatile or scoped accesses: blocks may communicate
  bool usesClusters = false;
  bool callsFunctions = false;
  bool usesAsynchrony = false; ///< mbarriers, or operations that something waits for
  bool usesAsyncProxy = false; ///< bulk copies, wgmma, or asynchronous stores
  bool usesWarpgroups = false; ///< wgmma
};

struct Program {
  const ptx::Function *kernel = nullptr;
  std::vector<std::unique_ptr<Function>> functions; ///< the kernel is the first
  std::vector<uint32_t> parameterOffsets;           ///< of the kernel's parameters, in bytes
  uint32_t parameterBytes = 0;
  /// Shared memory: [kSharedBase, staticEnd) is static, dynamic memory starts at dynamicBase.
  uint32_t sharedStaticBytes = 0;
  uint32_t sharedDynamicBase = 0;
  uint32_t constantBytes = 0;
  ProgramTraits traits;
};

/// Shared addresses start here: the first KB is the system's, and a null
/// pointer is found.
constexpr uint32_t kSharedBase = 1024;

/// Windows of the generic address space. Global memory is everything below.
constexpr uint64_t kSharedWindow = uint64_t{1} << 56;
constexpr uint64_t kLocalWindow = uint64_t{2} << 56;
constexpr uint64_t kParamWindow = uint64_t{3} << 56;
constexpr uint64_t kFunctionWindow = uint64_t{4} << 56; ///< addresses of functions, by index
constexpr uint64_t kWindowMask = uint64_t{0xff} << 56;

} // namespace vgpu
