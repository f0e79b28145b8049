#pragma once
// A position in the tokens of a module.

#include "ptx/Lexer.h"

namespace vgpu::ptx {

class Cursor {
public:
  explicit Cursor(const std::vector<Token> &tokens) : tokens(tokens) {}

  bool atEnd() const { return peek().kind == Token::Kind::End; }
  const Token &peek(size_t ahead = 0) const {
    return tokens[std::min(position + ahead, tokens.size() - 1)];
  }
  const Token &take();
  bool is(std::string_view text) const { return peek().text == text; }
  /// Steps over `text` if it is next.
  bool accept(std::string_view text);
  void expect(std::string_view text);

  /// An integer with an optional sign.
  int64_t integer();
  /// The bits of a number token; isFloat32 and isFloat64 tell of 0f… and 0d….
  uint64_t number(bool &isFloat32, bool &isFloat64);

  void skipLine();
  void skipStatement(); ///< up to and with the semicolon
  void skipBraces();    ///< up to and with the closing brace

  [[noreturn]] void fail(const std::string &message) const {
    throw SyntaxError(peek().line, message);
  }

private:
  const std::vector<Token> &tokens;
  size_t position = 0;
};

} // namespace vgpu::ptx
