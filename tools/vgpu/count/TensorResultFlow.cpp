#include "count/TensorResultFlow.h"

#include <algorithm>
#include <string_view>

namespace vgpu {
namespace {

using Kind = ptx::Operand::Kind;

bool isOneOf(std::string_view opcode, std::initializer_list<std::string_view> opcodes) {
  return std::find(opcodes.begin(), opcodes.end(), opcode) != opcodes.end();
}

/// What is counted by more than that it was executed, or decides what is.
bool isCounted(std::string_view opcode) {
  return isOneOf(opcode, {"ld",       "ldu",        "st",        "atom",  "red", "cp",
                          "ldmatrix", "stmatrix",   "mma",       "wgmma", "bar", "barrier",
                          "mbarrier", "prefetch",   "bra",       "brx",   "ret", "exit",
                          "call",     "setmaxnreg", "nanosleep", "trap"});
}

/// Instructions of whose operands none may depend on results.
bool takesPlainOperands(std::string_view opcode) {
  return isOneOf(opcode, {"bar", "barrier", "mbarrier", "cp", "brx", "call", "nanosleep"});
}

bool isStore(std::string_view opcode) { return isOneOf(opcode, {"st", "red", "atom", "stmatrix"}); }

bool isTensor(std::string_view opcode) { return opcode == "mma" || opcode == "wgmma"; }

/// Calls visit(register) for the registers of an operand, and those of its
/// addresses with visit(register, true).
template <class Visit> void eachRegister(const ptx::Operand &operand, bool isAddress, Visit visit) {
  if (operand.kind == Kind::Register) {
    if (operand.index >= 0)
      visit(operand.index, isAddress);
    if (operand.second >= 0)
      visit(operand.second, isAddress);
  }
  for (const ptx::Operand &element : operand.elements)
    eachRegister(element, isAddress || operand.kind == Kind::Address, visit);
}

} // namespace

TensorResultFlow::TensorResultFlow(const Program &program) {
  for (const auto &function : program.functions)
    if (function->source)
      functions.push_back(
          {function->source, std::vector<bool>(function->source->registers.size(), false)});
  propagate();
}

void TensorResultFlow::load(const ptx::Instruction &instruction) {
  if (loads.insert(&instruction).second)
    propagate();
}

void TensorResultFlow::propagate() {
  for (bool changes = true; changes;) {
    changes = false;
    for (Registers &registers : functions)
      for (const ptx::Instruction &instruction : registers.function->instructions)
        changes |= step(registers, instruction);
  }
}

/// Whether something new depends on results.
bool TensorResultFlow::step(Registers &registers, const ptx::Instruction &instruction) {
  std::string_view opcode = instruction.opcode;
  bool isGuarded = instruction.guard >= 0 && registers.depends[instruction.guard];
  bool conflicts = isGuarded && isCounted(opcode);
  // What functions and asynchronous operations do is not followed.
  bool isUnfollowed = (opcode == "st" && instruction.has("param")) || instruction.has("async");
  bool reads = isGuarded || isTensor(opcode) || loads.contains(&instruction);
  const auto &operands = instruction.operands;
  bool writesFirst = !operands.empty() && operands[0].kind != Kind::Address &&
                     !isOneOf(opcode, {"st", "red", "cp", "bra", "brx", "bar", "barrier"});
  for (size_t number = writesFirst; number < operands.size(); ++number)
    eachRegister(operands[number], false, [&](int index, bool isAddress) {
      if (!registers.depends[index])
        return;
      // The descriptors of wgmma, which are no vectors, are addresses too.
      isAddress |= opcode == "wgmma" && operands[number].kind == Kind::Register;
      conflicts |= isAddress || isUnfollowed || takesPlainOperands(opcode);
      reads = true;
    });
  if (conflicts && !found)
    found = &instruction;
  bool isNew = false;
  if (reads && isStore(opcode))
    isNew = stores.insert(&instruction).second;
  // What an atomic gives is what lay in memory.
  if (!reads || !writesFirst || (opcode == "atom" && !loads.contains(&instruction)))
    return isNew;
  eachRegister(operands[0], false, [&](int index, bool) {
    isNew = isNew || !registers.depends[index];
    registers.depends[index] = true;
  });
  return isNew;
}

} // namespace vgpu
