#include "mutate/InstructionText.h"

namespace vgpu {
namespace {

using ptx::Operand;

std::string registerName(const ptx::Function &function, int index) {
  if (index < 0)
    return "_";
  std::string name = function.registers[index].name;
  return name.substr(0, name.find_last_not_of("0123456789") + 1);
}

std::string offsetText(int64_t offset) { return offset ? "+" + std::to_string(offset) : ""; }

std::string negationText(const Operand &operand, const ptx::Function &function) {
  if (!operand.isNegated)
    return "";
  return function.registers[operand.index].type == ptx::Type::Pred ? "!" : "-";
}

std::string textOf(const Operand &operand, const ptx::Function &function);

std::string listText(const Operand &operand, const ptx::Function &function) {
  std::string text;
  for (const Operand &element : operand.elements)
    text += (text.empty() ? "" : ", ") + textOf(element, function);
  return text;
}

std::string addressText(const Operand &operand, const ptx::Function &function) {
  std::string text = "[" + textOf(operand.elements[0], function) + offsetText(operand.offset);
  for (size_t index = 1; index < operand.elements.size(); ++index)
    text += ", " + textOf(operand.elements[index], function);
  return text + "]";
}

std::string textOf(const Operand &operand, const ptx::Function &function) {
  switch (operand.kind) {
  case Operand::Kind::Sink:
    return "_";
  case Operand::Kind::Register:
    return negationText(operand, function) + registerName(function, operand.index) +
           (operand.part.empty() ? "" : "." + operand.part) +
           (operand.second >= 0 ? "|" + registerName(function, operand.second) : "");
  case Operand::Kind::Special:
    return operand.name;
  case Operand::Kind::Integer:
  case Operand::Kind::Float32:
  case Operand::Kind::Float64:
    return std::to_string(static_cast<int64_t>(operand.bits));
  case Operand::Kind::Variable:
    return function.variables[operand.index].name + offsetText(operand.offset);
  case Operand::Kind::Symbol:
    return operand.name + offsetText(operand.offset);
  case Operand::Kind::Label:
    return "label";
  case Operand::Kind::Address:
    return addressText(operand, function);
  case Operand::Kind::Vector:
    return "{" + listText(operand, function) + "}";
  case Operand::Kind::List:
    return "(" + listText(operand, function) + ")";
  }
  return "";
}

} // namespace

std::string textOf(const ptx::Instruction &instruction, const ptx::Function &function) {
  std::string text;
  if (instruction.guard >= 0)
    text = std::string("@") + (instruction.isGuardNegated ? "!" : "") +
           registerName(function, instruction.guard) + " ";
  text += instruction.text();
  for (size_t index = 0; index < instruction.operands.size(); ++index)
    text += (index ? ", " : " ") + textOf(instruction.operands[index], function);
  return text + ";";
}

} // namespace vgpu
