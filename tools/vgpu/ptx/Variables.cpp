// Declarations of variables in memory, with their initial values.
#include "ptx/Statements.h"

#include <bit>
#include <cstring>

namespace vgpu::ptx {
namespace {

class VariableParser {
public:
  VariableParser(Cursor &cursor, Space space, bool isExternal) : cursor(cursor) {
    common.space = space;
    common.isExternal = isExternal;
  }

  std::vector<Variable> run() {
    attributes();
    std::vector<Variable> variables;
    do
      variables.push_back(one());
    while (cursor.accept(","));
    cursor.expect(";");
    return variables;
  }

private:
  void attributes() {
    common.type = Type::None;
    int vector = 1;
    for (;;) {
      if (cursor.accept(".align"))
        common.alignment = static_cast<uint32_t>(cursor.integer());
      else if (cursor.accept(".attribute"))
        skipParentheses();
      else if (cursor.accept(".v2"))
        vector = 2;
      else if (cursor.accept(".v4"))
        vector = 4;
      else if (Type type = typeNamed(cursor.peek().text.substr(1));
               cursor.peek().text[0] == '.' && type != Type::None)
        common.type = type, cursor.take();
      else
        break;
    }
    if (common.type == Type::None)
      cursor.fail("a variable without a type");
    common.count = vector;
    common.alignment = std::max<uint32_t>(common.alignment, vector * sizeOf(common.type));
  }

  void skipParentheses() {
    cursor.expect("(");
    while (!cursor.accept(")"))
      cursor.take();
  }

  Variable one() {
    Variable variable = common;
    variable.name = cursor.take().text;
    bool isUnsized = false;
    while (cursor.accept("[")) {
      if (cursor.accept("]")) {
        isUnsized = true;
        continue;
      }
      variable.count *= static_cast<uint64_t>(cursor.integer());
      cursor.expect("]");
    }
    if (cursor.accept("=")) {
      initializer(variable);
      if (isUnsized)
        variable.count = variable.initial.size() / sizeOf(variable.type);
      if (variable.initial.size() > variable.bytes())
        cursor.fail("'" + variable.name + "' has more initial values than elements");
      variable.initial.resize(variable.bytes());
    } else if (isUnsized) {
      variable.count = 0;
    }
    return variable;
  }

  void initializer(Variable &variable) {
    if (!cursor.accept("{"))
      return value(variable);
    if (cursor.accept("}"))
      return;
    do
      initializer(variable);
    while (cursor.accept(","));
    cursor.expect("}");
  }

  void value(Variable &variable) {
    uint64_t bits = 0;
    if (cursor.peek().kind == Token::Kind::Word) {
      symbol(variable);
    } else {
      bool isNegative = cursor.accept("-"), isFloat32, isFloat64;
      bits = cursor.number(isFloat32, isFloat64);
      if (isFloat32 && variable.type == Type::F64)
        bits = std::bit_cast<uint64_t>(
            static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits))));
      if (isFloat64 && variable.type == Type::F32)
        bits = std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(bits)));
      if (isNegative)
        bits = -bits;
    }
    size_t offset = variable.initial.size();
    variable.initial.resize(offset + sizeOf(variable.type));
    std::memcpy(&variable.initial[offset], &bits, sizeOf(variable.type));
  }

  void symbol(Variable &variable) {
    if (sizeOf(variable.type) != 8)
      cursor.fail("an address in a variable of " + std::to_string(sizeOf(variable.type)) +
                  " bytes is not supported");
    bool isGeneric = cursor.accept("generic");
    if (isGeneric)
      cursor.expect("(");
    std::string name(cursor.take().text);
    if (isGeneric)
      cursor.expect(")");
    int64_t addend = 0;
    if (cursor.accept("+"))
      addend = cursor.integer();
    variable.relocations.push_back({variable.initial.size(), name, addend, isGeneric});
  }

  Cursor &cursor;
  Variable common;
};

} // namespace

std::optional<Space> acceptSpace(Cursor &cursor) {
  constexpr std::pair<std::string_view, Space> spaces[] = {{".global", Space::Global},
                                                           {".shared", Space::Shared},
                                                           {".local", Space::Local},
                                                           {".param", Space::Param},
                                                           {".const", Space::Const}};
  for (auto [name, space] : spaces)
    if (cursor.accept(name))
      return space;
  return std::nullopt;
}

std::vector<Variable> parseVariables(Cursor &cursor, Space space, bool isExternal) {
  return VariableParser(cursor, space, isExternal).run();
}

} // namespace vgpu::ptx
