#include "ptx/Statements.h"

#include <utility>

namespace vgpu::ptx {

std::vector<Variable> StatementParser::parameterList() {
  std::vector<Variable> parameters;
  cursor.expect("(");
  if (cursor.accept(")"))
    return parameters;
  do {
    Variable parameter;
    parameter.space = Space::Param;
    bool isRegister = cursor.accept(".reg");
    if (!isRegister)
      cursor.expect(".param");
    while (cursor.peek().text[0] == '.') {
      if (cursor.accept(".align"))
        parameter.alignment = static_cast<uint32_t>(cursor.integer());
      else if (cursor.accept(".ptr"))
        skipPointerAttributes();
      else if (Type type = typeNamed(cursor.take().text.substr(1)); type != Type::None)
        parameter.type = type;
      else
        cursor.fail("unknown attribute of a parameter");
    }
    parameter.alignment = std::max<uint32_t>(parameter.alignment, sizeOf(parameter.type));
    parameter.name = cursor.take().text;
    if (cursor.accept("[")) {
      parameter.count = cursor.is("]") ? 0 : static_cast<uint64_t>(cursor.integer());
      cursor.expect("]");
    }
    if (isRegister) {
      parameter.reg = static_cast<int>(function.registers.size());
      addRegister(parameter.name, parameter.type);
    }
    parameters.push_back(std::move(parameter));
  } while (cursor.accept(","));
  cursor.expect(")");
  return parameters;
}

void StatementParser::skipPointerAttributes() {
  acceptSpace(cursor);
  if (cursor.accept(".align"))
    cursor.integer();
}

void StatementParser::declareParameters() {
  for (const auto *list : {&function.prototype.parameters, &function.prototype.results})
    for (const Variable &parameter : *list) {
      scopes.back().variables[parameter.name] = static_cast<int>(function.variables.size());
      function.variables.push_back(parameter);
    }
}

void StatementParser::body() {
  function.hasBody = true;
  block();
}

/// A label may be used before it is declared, so a scope learns its labels
/// before its statements are read.
void StatementParser::block() {
  cursor.expect("{");
  scopes.emplace_back();
  declareLabels();
  while (!cursor.accept("}")) {
    if (cursor.is("{"))
      block();
    else
      statement();
  }
  scopes.pop_back();
}

void StatementParser::declareLabels() {
  int depth = 0;
  for (size_t ahead = 0; depth >= 0; ++ahead) {
    const Token &token = cursor.peek(ahead);
    if (token.kind == Token::Kind::End)
      return;
    if (depth == 0 && token.kind == Token::Kind::Word && cursor.peek(ahead + 1).text == ":") {
      scopes.back().labels[std::string(token.text)] = static_cast<int>(function.labels.size());
      function.labels.push_back(-1);
    }
    depth += token.text == "{";
    depth -= token.text == "}";
  }
}

void StatementParser::statement() {
  if (cursor.accept(".reg")) {
    registerDeclaration();
  } else if (std::optional<Space> space = acceptSpace(cursor)) {
    for (Variable &variable : parseVariables(cursor, *space, false)) {
      scopes.back().variables[variable.name] = static_cast<int>(function.variables.size());
      function.variables.push_back(std::move(variable));
    }
  } else if (cursor.is(".loc") || cursor.is(".file")) {
    cursor.skipLine();
  } else if (cursor.is(".pragma")) {
    cursor.skipStatement();
  } else if (cursor.peek(1).text == ":") {
    label();
  } else {
    instruction();
  }
}

void StatementParser::registerDeclaration() {
  Type type = typeNamed(cursor.take().text.substr(1));
  if (type == Type::None)
    cursor.fail("unknown type of a register");
  do {
    std::string name(cursor.take().text);
    if (cursor.accept("<")) {
      int64_t count = cursor.integer();
      cursor.expect(">");
      for (int64_t number = 0; number < count; ++number)
        addRegister(name + std::to_string(number), type);
    } else {
      addRegister(name, type);
    }
  } while (cursor.accept(","));
  cursor.expect(";");
}

void StatementParser::addRegister(const std::string &name, Type type) {
  scopes.back().registers[name] = static_cast<int>(function.registers.size());
  function.registers.push_back({name, type});
}

void StatementParser::label() {
  std::string name(cursor.take().text);
  cursor.expect(":");
  if (cursor.accept(".callprototype"))
    return callPrototype(name);
  if (cursor.accept(".branchtargets"))
    return branchTargets(name);
  if (cursor.accept(".calltargets"))
    return cursor.skipStatement();
  function.labels[find<&Scope::labels>(name)] = static_cast<int>(function.instructions.size());
}

void StatementParser::callPrototype(const std::string &name) {
  // Names of parameters here are placeholders: they must not shadow anything.
  scopes.emplace_back();
  Prototype prototype;
  if (cursor.is("("))
    prototype.results = parameterList();
  cursor.take();
  if (cursor.is("("))
    prototype.parameters = parameterList();
  while (!cursor.accept(";"))
    cursor.take();
  scopes.pop_back();
  function.callPrototypes[name] = std::move(prototype);
  function.labels[find<&Scope::labels>(name)] = 0;
}

void StatementParser::branchTargets(const std::string &name) {
  std::vector<int> targets;
  do {
    int target = find<&Scope::labels>(cursor.take().text);
    if (target < 0)
      cursor.fail("no such label in .branchtargets");
    targets.push_back(target);
  } while (cursor.accept(","));
  cursor.expect(";");
  function.branchTargets[name] = std::move(targets);
  function.labels[find<&Scope::labels>(name)] = 0;
}

void StatementParser::instruction() {
  Instruction instruction;
  instruction.line = cursor.peek().line;
  if (cursor.accept("@")) {
    instruction.isGuardNegated = cursor.accept("!");
    const Token &name = cursor.take();
    instruction.guard = find<&Scope::registers>(name.text);
    if (instruction.guard < 0)
      cursor.fail("no predicate '" + std::string(name.text) + "'");
  }
  const Token &opcode = cursor.take();
  if (opcode.kind != Token::Kind::Word)
    throw SyntaxError(opcode.line,
                      "expected an instruction, but found '" + std::string(opcode.text) + "'");
  splitOpcode(opcode, instruction);
  if (!cursor.is(";"))
    do
      instruction.operands.push_back(operand());
    while (cursor.accept(","));
  cursor.expect(";");
  function.instructions.push_back(std::move(instruction));
}

void StatementParser::splitOpcode(const Token &token, Instruction &instruction) {
  std::string_view text = token.text;
  size_t dot = text.find('.');
  instruction.opcode = text.substr(0, dot);
  while (dot != std::string_view::npos) {
    size_t next = text.find('.', dot + 1);
    instruction.modifiers.emplace_back(text.substr(dot + 1, next - dot - 1));
    dot = next;
  }
}

Operand StatementParser::operand() {
  if (cursor.accept("!")) {
    Operand negated = operand();
    negated.isNegated = true;
    return negated;
  }
  if (cursor.accept("{"))
    return sequence(Operand::Kind::Vector, "}");
  if (cursor.accept("("))
    return sequence(Operand::Kind::List, ")");
  if (cursor.accept("["))
    return address();
  bool isNegative = cursor.accept("-");
  if (cursor.peek().kind == Token::Kind::Number)
    return literal(isNegative);
  Operand result = named(cursor.take());
  if (isNegative && result.kind != Operand::Kind::Register)
    cursor.fail("only registers and numbers are negated");
  result.isNegated = isNegative;
  if (cursor.accept("|")) {
    const Token &second = cursor.take();
    if (second.text != "_") {
      result.second = find<&Scope::registers>(second.text);
      if (result.second < 0)
        cursor.fail("no register '" + std::string(second.text) + "'");
    }
    result.kind = Operand::Kind::Register;
  }
  return result;
}

Operand StatementParser::sequence(Operand::Kind kind, std::string_view close) {
  Operand result;
  result.kind = kind;
  if (cursor.accept(close))
    return result;
  do
    result.elements.push_back(operand());
  while (cursor.accept(","));
  cursor.expect(close);
  return result;
}

Operand StatementParser::address() {
  Operand result;
  result.kind = Operand::Kind::Address;
  bool isNegative = cursor.accept("-");
  if (isNegative || cursor.peek().kind == Token::Kind::Number)
    result.elements.push_back(literal(isNegative));
  else
    result.elements.push_back(named(cursor.take()));
  result.offset = std::exchange(result.elements[0].offset, 0);
  while (cursor.accept(","))
    result.elements.push_back(operand());
  cursor.expect("]");
  return result;
}

Operand StatementParser::literal(bool isNegative) {
  bool isFloat32, isFloat64;
  Operand result;
  result.bits = cursor.number(isFloat32, isFloat64);
  result.kind = isFloat32   ? Operand::Kind::Float32
                : isFloat64 ? Operand::Kind::Float64
                            : Operand::Kind::Integer;
  if (isNegative) {
    if (isFloat32)
      result.bits ^= 1u << 31;
    else if (isFloat64)
      result.bits ^= uint64_t{1} << 63;
    else
      result.bits = -result.bits;
  }
  return result;
}

Operand StatementParser::named(const Token &token) {
  Operand result;
  result.name = token.text;
  if (token.text == "_")
    return result;
  if (acceptPart(token.text, result))
    return result;
  auto isFound = [&](int index, Operand::Kind kind) {
    result.index = index;
    result.kind = kind;
    return index >= 0;
  };
  if (!isFound(find<&Scope::registers>(token.text), Operand::Kind::Register) &&
      !isFound(find<&Scope::variables>(token.text), Operand::Kind::Variable) &&
      !isFound(find<&Scope::labels>(token.text), Operand::Kind::Label))
    result.kind = token.text[0] == '%' ? Operand::Kind::Special : Operand::Kind::Symbol;
  result.offset = offset();
  return result;
}

/// A part of a register, such as `%r1.b0`.
bool StatementParser::acceptPart(std::string_view text, Operand &result) {
  size_t dot = text.find('.');
  if (dot == std::string_view::npos)
    return false;
  result.index = find<&Scope::registers>(text.substr(0, dot));
  if (result.index < 0)
    return false;
  result.kind = Operand::Kind::Register;
  result.name = text.substr(0, dot);
  result.part = text.substr(dot + 1);
  return true;
}

int64_t StatementParser::offset() {
  if (cursor.accept("+"))
    return cursor.integer();
  if (cursor.is("-") && cursor.peek(1).kind == Token::Kind::Number)
    return cursor.integer();
  return 0;
}

} // namespace vgpu::ptx
