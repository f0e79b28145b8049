#pragma once
// Mechanical mistakes in kernels: does anybody notice them?

#include "ptx/Syntax.h"

namespace vgpu {

/// What the eight operators do.
enum class Mistake : uint8_t {
  DropBarrier,   ///< a barrier is left out, or only a warp's
  LoosenWait,    ///< one group more may be pending; a wait goes on at once
  ChangeBytes,   ///< a count of bytes is half of what it was
  ShiftIndex,    ///< an access, or the bound of a comparison, is one off
  Misalign,      ///< an access of several elements is a part of them off
  DropFence,     ///< a fence is left out, or a release or acquire is relaxed
  SwapBuffers,   ///< one shared variable or parameter is taken for another
  DropPredicate, ///< a guarded instruction is executed by all
};
std::string_view nameOf(Mistake mistake);

/// A kernel with one mistake.
struct Mutant {
  Mistake mistake;
  size_t index; ///< of the instruction
  std::vector<ptx::Instruction> replacement;
  std::vector<ptx::Register> registers; ///< that the replacement and the probe have more
  /// What comes before or after the instruction in a survey (Survey.h): ends with a
  /// mark, which is executed where the mistake makes a difference.
  std::vector<ptx::Instruction> probeBefore, probeAfter;

  ptx::Function applyTo(const ptx::Function &kernel) const;
  /// As PTX, but without the numbers of registers, which every change of a
  /// compiler changes.
  std::string before(const ptx::Function &kernel) const;
  std::string after(const ptx::Function &kernel) const;
};

/// The opcode of marks: a performance event, which is no part of what a kernel does.
constexpr std::string_view kMark = "pmevent";

/// Every mistake that can be made in a kernel of the module, one a mutant.
std::vector<Mutant> mutantsOf(const ptx::Module &module, const ptx::Function &kernel);

} // namespace vgpu
