#include "program/Decoding.h"

#include <bit>

namespace vgpu {

using ptx::Type;
using Kind = ptx::Operand::Kind;

const std::string &Decoding::modifier(size_t number) const {
  static const std::string none;
  return number < source.modifiers.size() ? source.modifiers[number] : none;
}

Type Decoding::type(size_t number) const {
  for (const std::string &modifier : source.modifiers)
    if (Type type = ptx::typeNamed(modifier); type != Type::None && number-- == 0)
      return type;
  return Type::None;
}

const ptx::Operand &Decoding::operand(size_t number) const {
  if (number >= source.operands.size())
    fail("needs operand " + std::to_string(number + 1) + ", but has " +
         std::to_string(source.operands.size()));
  return source.operands[number];
}

void Decoding::expectOperands(size_t least, size_t most) const {
  if (operandCount() < least || operandCount() > most)
    fail("has " + std::to_string(operandCount()) + " operands, but needs " +
         (least == most ? std::to_string(least)
                        : std::to_string(least) + " to " + std::to_string(most)));
}

int Decoding::bytesOf(const ptx::Operand &operand, Type type) const {
  if (operand.kind == Kind::Register)
    return ptx::sizeOf(builder.source.registers[operand.index].type);
  return ptx::sizeOf(type);
}

void Decoding::expectWhole(const ptx::Operand &operand) const {
  if (!operand.part.empty())
    fail("cannot select a part of register " + operand.name);
  if (operand.isNegated)
    fail("cannot negate register " + operand.name);
}

Operand Decoding::write(const ptx::Operand &operand, Type type) {
  bool isSink = operand.kind == Kind::Register && operand.index < 0; // of `_|p`
  if (operand.kind == Kind::Sink || isSink)
    return builder.scratch(type);
  if (operand.kind != Kind::Register)
    fail("its destination is no register");
  expectWhole(operand);
  if (isPredicate(operand) || bytesOf(operand, type) != ptx::sizeOf(type))
    fail("register " + operand.name + " does not hold a value of type " +
         std::string(ptx::nameOf(type)));
  return builder.registerOperand(operand.index);
}

Operand Decoding::read(const ptx::Operand &operand, Type type) {
  switch (operand.kind) {
  case Kind::Register:
    expectWhole(operand);
    if (isPredicate(operand) || bytesOf(operand, type) != ptx::sizeOf(type))
      fail("register " + operand.name + " is no value of type " + std::string(ptx::nameOf(type)));
    return builder.registerOperand(operand.index);
  case Kind::Integer: {
    int bytes = ptx::sizeOf(type);
    uint64_t mask = bytes >= 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * bytes) - 1;
    return builder.constant(operand.bits & mask, bytes);
  }
  case Kind::Float32:
    if (type == Type::F64)
      return builder.constant(std::bit_cast<uint64_t>(static_cast<double>(
                                  std::bit_cast<float>(static_cast<uint32_t>(operand.bits)))),
                              8);
    return builder.constant(operand.bits, ptx::sizeOf(type));
  case Kind::Float64:
    if (type == Type::F32)
      return builder.constant(
          std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(operand.bits))), 4);
    return builder.constant(operand.bits, 8);
  case Kind::Variable:
  case Kind::Symbol:
    return addressOf(operand, type);
  case Kind::Special:
    return special(operand, type);
  default:
    fail("cannot read this operand");
  }
}

Operand Decoding::addressOf(const ptx::Operand &operand, Type type) {
  int bytes = ptx::sizeOf(type);
  const Symbols &symbols = builder.symbols;
  if (operand.kind == Kind::Variable) {
    const ptx::Variable &variable = builder.source.variables[operand.index];
    switch (variable.space) {
    case ptx::Space::Shared:
      return builder.constant(symbols.shared.at(variable.name) + operand.offset, bytes);
    case ptx::Space::Local: {
      Instruction helper;
      helper.execute = builder.selectors.at(kLocalAddress)(*this);
      helper.operands[0] = builder.scratch(type);
      helper.type = type;
      helper.immediate = builder.localOffset(operand.index) + operand.offset;
      helper.source = &source;
      builder.emit(helper);
      return helper.operands[0];
    }
    case ptx::Space::Param:
      if (!builder.source.isKernel)
        fail("the address of parameter " + variable.name + " of a function is not supported");
      return builder.constant(builder.program.parameterOffsets[operand.index] + operand.offset,
                              bytes);
    default:
      break;
    }
    if (auto entry = symbols.variables.find(variable.name); entry != symbols.variables.end())
      return builder.constant(entry->second + operand.offset, bytes);
    fail("cannot take the address of " + variable.name);
  }
  if (auto entry = symbols.shared.find(operand.name); entry != symbols.shared.end())
    return builder.constant(entry->second + operand.offset, bytes);
  if (auto entry = symbols.variables.find(operand.name); entry != symbols.variables.end())
    return builder.constant(entry->second + operand.offset, bytes);
  if (auto entry = symbols.functionAddresses.find(operand.name);
      entry != symbols.functionAddresses.end())
    return builder.constant(entry->second, bytes);
  if (operand.name == "WARP_SZ")
    return builder.constant(kWarpSize, bytes);
  fail("unknown symbol '" + operand.name + "'");
}

Operand Decoding::special(const ptx::Operand &operand, Type type) {
  Instruction helper;
  helper.source = &source;
  helper.type = type;
  helper.operands[0] = builder.scratch(type);
  ptx::Instruction reading;
  reading.opcode = "mov";
  reading.line = source.line;
  reading.operands.push_back(operand);
  Decoding decoding(builder, reading, helper);
  helper.execute = builder.selectors.at(kReadSpecial)(decoding);
  builder.emit(helper);
  return helper.operands[0];
}

bool Decoding::isPredicate(const ptx::Operand &operand) const {
  return operand.kind == Kind::Register &&
         builder.source.registers[operand.index].type == Type::Pred;
}

Operand Decoding::readPredicate(const ptx::Operand &operand) {
  if (operand.kind == Kind::Integer)
    return {operand.bits ? 0 : 1};
  if (!isPredicate(operand))
    fail("operand " + operand.name + " is no predicate");
  return {builder.registerOperand(operand.index).word * 2 + operand.isNegated};
}

Operand Decoding::writePredicate(const ptx::Operand &operand) {
  if (operand.kind == Kind::Sink)
    return builder.scratch(Type::Pred);
  if (!isPredicate(operand))
    fail("operand " + operand.name + " is no predicate");
  return writePredicate(operand.index);
}

Operand Decoding::writePredicate(int registerIndex) {
  if (builder.source.registers[registerIndex].type != Type::Pred)
    fail("register " + builder.source.registers[registerIndex].name + " is no predicate");
  return {builder.registerOperand(registerIndex).word * 2};
}

void Decoding::address(size_t number, size_t slot) {
  const ptx::Operand &address = operand(number);
  if (address.kind != Kind::Address)
    fail("operand " + std::to_string(number + 1) + " is no address");
  const ptx::Operand &base = address.elements[0];
  out.immediate = address.offset;
  out.memory.isAddress32 = bytesOf(base, Type::U64) == 4;
  out.operands[slot] = read(base, out.memory.isAddress32 ? Type::U32 : Type::U64);
}

int64_t Decoding::integer(size_t number) const {
  const ptx::Operand &value = operand(number);
  if (value.kind != Kind::Integer)
    fail("operand " + std::to_string(number + 1) + " must be a constant");
  return static_cast<int64_t>(value.bits);
}

void Decoding::setList(std::vector<Operand> list) {
  out.listCount = static_cast<uint32_t>(list.size());
  out.list = builder.keep(std::move(list));
}

std::vector<const ptx::Operand *> Decoding::elements(size_t number) const {
  const ptx::Operand &value = operand(number);
  std::vector<const ptx::Operand *> result;
  if (value.kind != Kind::Vector && value.kind != Kind::List)
    return {&value};
  result.reserve(value.elements.size());
  for (const ptx::Operand &element : value.elements)
    result.push_back(&element);
  return result;
}

void Decoding::memoryForm() {
  MemoryForm &form = out.memory;
  for (const std::string &modifier : source.modifiers) {
    if (modifier == "global")
      form.space = ptx::Space::Global;
    else if (modifier == "shared" || modifier == "shared::cta" || modifier == "shared::cluster")
      form.space = ptx::Space::Shared;
    else if (modifier == "local")
      form.space = ptx::Space::Local;
    else if (modifier == "const")
      form.space = ptx::Space::Const;
    else if (modifier == "param" || modifier == "param::entry" || modifier == "param::func")
      form.space = ptx::Space::Param;
    else if (modifier == "volatile" || modifier == "mmio")
      form.isVolatile = true, form.order = Order::Relaxed, form.scope = Scope::System;
    else if (modifier == "relaxed")
      form.order = Order::Relaxed;
    else if (modifier == "acquire")
      form.order = Order::Acquire;
    else if (modifier == "release")
      form.order = Order::Release;
    else if (modifier == "acq_rel")
      form.order = Order::AcquireRelease;
    else if (modifier == "cta")
      form.scope = Scope::Block;
    else if (modifier == "cluster")
      form.scope = Scope::Cluster;
    else if (modifier == "gpu")
      form.scope = Scope::Device;
    else if (modifier == "sys")
      form.scope = Scope::System;
    else if (modifier == "nc")
      form.isReadOnly = true;
    else if (modifier == "v2" || modifier == "v4" || modifier == "v8")
      form.elements = static_cast<uint8_t>(modifier[1] - '0');
  }
  bool mayBeGlobal = form.space == ptx::Space::Global || form.space == ptx::Space::Generic;
  if (mayBeGlobal && form.order != Order::Weak)
    builder.program.traits.hasGlobalAtomics = true;
}

} // namespace vgpu
