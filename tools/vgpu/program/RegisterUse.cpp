#include "program/RegisterUse.h"

#include <algorithm>
#include <numeric>
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

std::vector<bool> warpgroupRegisters(const ptx::Function &function) {
  std::vector<int32_t> numbers(function.registers.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  std::vector<bool> isInFlight(numbers.size(), false);
  std::vector<RegisterUse> moves;
  for (const ptx::Instruction &instruction : function.instructions) {
    RegisterUse use;
    if (instruction.opcode == "wgmma")
      for (const ptx::Operand &operand : instruction.operands)
        for (const ptx::Operand &element : operand.elements)
          collect(element, function, numbers, use.reads);
    for (int32_t number : use.reads)
      isInFlight[number] = true;
    if (kindOf(instruction) == RegisterUse::Kind::Move)
      moves.push_back(registerUse(instruction, function, numbers));
  }
  auto isMarked = [&](int32_t number) { return isInFlight[number]; };
  for (bool isNew = true; isNew;) {
    isNew = false;
    for (const RegisterUse &move : moves) {
      std::vector<int32_t> both = move.reads;
      both.insert(both.end(), move.writes.begin(), move.writes.end());
      if (std::any_of(both.begin(), both.end(), isMarked))
        for (int32_t number : both) {
          isNew |= !isInFlight[number];
          isInFlight[number] = true;
        }
    }
  }
  return isInFlight;
}

} // namespace vgpu
