#include "ptx/Lexer.h"

namespace vgpu::ptx {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}
bool isWordPart(char c) { return isWordStart(c) || isDigit(c); }

class Lexer {
public:
  explicit Lexer(std::string_view text) : text(text) {}

  std::vector<Token> run() {
    while (skipBlanks())
      tokens.push_back(token());
    tokens.push_back({Token::Kind::End, {}, line});
    return std::move(tokens);
  }

private:
  char at(size_t index) const { return index < text.size() ? text[index] : '\0'; }

  /// Skips white space and comments; false at the end of the text.
  bool skipBlanks() {
    while (position < text.size()) {
      char c = text[position];
      if (c == '\n') {
        ++line;
        ++position;
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\0') {
        ++position;
      } else if (c == '/' && at(position + 1) == '/') {
        position = std::min(text.find('\n', position), text.size());
      } else if (c == '/' && at(position + 1) == '*') {
        skipComment();
      } else {
        return true;
      }
    }
    return false;
  }

  void skipComment() {
    size_t end = text.find("*/", position + 2);
    if (end == std::string_view::npos)
      throw SyntaxError(line, "a comment does not end");
    for (; position < end + 2; ++position)
      line += text[position] == '\n';
  }

  Token token() {
    char c = text[position];
    if (c == '"')
      return string();
    if (isDigit(c))
      return take(Token::Kind::Number, numberEnd());
    if (isWordStart(c) || (c == '.' && isWordPart(at(position + 1))))
      return take(Token::Kind::Word, wordEnd());
    return take(Token::Kind::Symbol, position + 1);
  }

  Token string() {
    size_t end = text.find('"', position + 1);
    if (end == std::string_view::npos)
      throw SyntaxError(line, "a string does not end");
    return take(Token::Kind::String, end + 1);
  }

  size_t numberEnd() const {
    size_t end = position;
    while (isWordPart(at(end)) || (at(end) == '.' && isDigit(at(end + 1))))
      ++end;
    return end;
  }

  /// A directive ends at the next dot: `.reg.b16` is two words.
  size_t wordEnd() const {
    size_t end = position + 1;
    bool isDirective = at(position) == '.';
    for (;; ++end) {
      if (at(end) == ':' && at(end + 1) == ':' && isWordPart(at(end + 2)))
        ++end;
      else if (!isWordPart(at(end)) && !(!isDirective && at(end) == '.' && isWordPart(at(end + 1))))
        return end;
    }
  }

  Token take(Token::Kind kind, size_t end) {
    Token token{kind, text.substr(position, end - position), line};
    position = end;
    return token;
  }

  std::string_view text;
  size_t position = 0;
  int line = 1;
  std::vector<Token> tokens;
};

} // namespace

std::vector<Token> tokenize(std::string_view text) { return Lexer(text).run(); }

} // namespace vgpu::ptx
