#pragma once
// The body of a function: scopes, declarations, labels and instructions.

#include "ptx/Cursor.h"
#include "ptx/Syntax.h"

namespace vgpu::ptx {

/// The space that a directive such as `.shared` opens, if it is next.
std::optional<Space> acceptSpace(Cursor &cursor);

/// The declarations after the space, up to and with the semicolon.
std::vector<Variable> parseVariables(Cursor &cursor, Space space, bool isExternal);

class StatementParser {
public:
  StatementParser(Cursor &cursor, Function &function) : cursor(cursor), function(function) {
    scopes.emplace_back();
  }

  /// `(.param .b32 a, .reg .b64 b)`
  std::vector<Variable> parameterList();
  /// Makes parameters and results visible to the body.
  void declareParameters();
  /// `{ … }`
  void body();

private:
  struct Scope {
    std::map<std::string, int, std::less<>> registers, variables, labels;
  };

  void block();
  void declareLabels();
  void skipPointerAttributes();
  void statement();
  void registerDeclaration();
  void addRegister(const std::string &name, Type type);
  void label();
  void callPrototype(const std::string &name);
  void branchTargets(const std::string &name);
  void instruction();
  void splitOpcode(const Token &token, Instruction &instruction);

  Operand operand();
  Operand address();
  Operand sequence(Operand::Kind kind, std::string_view close);
  Operand literal(bool isNegative);
  Operand named(const Token &token);
  bool acceptPart(std::string_view text, Operand &result);
  int64_t offset();

  template <std::map<std::string, int, std::less<>> Scope::*table>
  int find(std::string_view name) const {
    for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
      if (auto entry = (*scope.*table).find(name); entry != (*scope.*table).end())
        return entry->second;
    return -1;
  }

  Cursor &cursor;
  Function &function;
  std::vector<Scope> scopes;
};

} // namespace vgpu::ptx
