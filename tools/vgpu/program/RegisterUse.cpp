#include "program/RegisterUse.h"

#include <algorithm>
#include <string_view>

namespace vgpu {
namespace {

using Kind = ptx::Operand::Kind;

/// Opcodes whose first operand is read.
bool writesNothing(const ptx::Instruction &instruction) {
  constexpr std::string_view opcodes[] = {
      "st",        "red",      "bar",       "barrier",    "fence",        "membar",
      "cp",        "stmatrix", "bra",       "brx",        "ret",          "exit",
      "prefetch",  "trap",     "nanosleep", "setmaxnreg", "discard",      "griddepcontrol",
      "prefetchu", "pmevent",  "brkpt",     "tensormap",  "applypriority"};
  return std::find(std::begin(opcodes), std::end(opcodes), instruction.opcode) != std::end(opcodes);
}

void collect(const ptx::Operand &operand, const ptx::Function &function,
             const std::vector<int32_t> &words, std::vector<int32_t> &into) {
  if (operand.kind == Kind::Register && operand.index >= 0 &&
      function.registers[operand.index].type != ptx::Type::Pred)
    into.push_back(words[operand.index]);
  for (const ptx::Operand &element : operand.elements)
    collect(element, function, words, into);
}

RegisterUse::Kind kindOf(const ptx::Instruction &instruction) {
  if (instruction.opcode == "wgmma")
    return RegisterUse::Kind::Wgmma;
  if (instruction.opcode != "mov" || instruction.operands.size() != 2)
    return RegisterUse::Kind::Ordinary;
  switch (instruction.operands[1].kind) {
  case Kind::Register:
    return RegisterUse::Kind::Move;
  case Kind::Integer:
  case Kind::Float32:
  case Kind::Float64:
    return RegisterUse::Kind::Constant;
  default:
    return RegisterUse::Kind::Ordinary;
  }
}

} // namespace

RegisterUse registerUse(const ptx::Instruction &instruction, const ptx::Function &function,
                        const std::vector<int32_t> &words) {
  RegisterUse use;
  use.kind = kindOf(instruction);
  for (size_t number = 0; number < instruction.operands.size(); ++number) {
    const ptx::Operand &operand = instruction.operands[number];
    bool isResult = operand.kind != Kind::Address &&
                    (instruction.opcode != "call" || operand.kind == Kind::List);
    bool isWritten = number == 0 && isResult && !writesNothing(instruction);
    collect(operand, function, words, isWritten ? use.writes : use.reads);
  }
  return use;
}

} // namespace vgpu
