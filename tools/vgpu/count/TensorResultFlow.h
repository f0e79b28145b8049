#pragma once
// Which registers of a program depend on the results of tensor instructions: for
// counting without computing those. The order of instructions is not looked at; a
// register is taken to hold in all places what it holds in one.

#include "program/Program.h"

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace vgpu {

class TensorResultFlow {
public:
  explicit TensorResultFlow(const Program &program);

  /// Whether what the instruction stores depends on them.
  bool isStored(const ptx::Instruction &instruction) const { return stores.contains(&instruction); }
  /// The instruction has loaded what depends on them.
  void load(const ptx::Instruction &instruction);
  /// An instruction whose address, or whether it is executed, depends on them, or null.
  const ptx::Instruction *conflict() const { return found; }

private:
  struct Registers {
    const ptx::Function *function;
    std::vector<bool> depends;
  };

  void propagate();
  bool step(Registers &registers, const ptx::Instruction &instruction);

  std::vector<Registers> functions;
  std::unordered_set<const ptx::Instruction *> loads, stores;
  const ptx::Instruction *found = nullptr;
};

} // namespace vgpu
